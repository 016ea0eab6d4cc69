/**
 * Audit file: DATA_DIR/audit.jsonl, a JSON line an entry, only ever appended to; when it is full it becomes audit.jsonl.1, and so on up to
 * audit.jsonl.9, the oldest of which goes.
 *
 * Callers  audit-log.ts, which never has two calls at once.
 */
import { chmod, open, rename, stat } from 'node:fs/promises';
import { ignoreAbsence } from '../../base/file-error.ts';

const MAX_BYTES = 16 * 1024 * 1024; // with nine old ones 160 MiB; some 500,000 entries
const OLD_FILES = 9;

/** Where entries are kept. */
export interface AuditSink {
  /** Resolves when they are written. @throws what the file system says */
  append(lines: readonly string[]): Promise<void>;
  /** Oldest first. */
  read(): AsyncIterable<string>;
}

/** @param maxBytes of a file before the next is begun; default 16 MiB */
export function createAuditFile(path: string, maxBytes = MAX_BYTES): AuditSink {
  const names = [path, ...Array.from({ length: OLD_FILES }, (_, index) => `${path}.${index + 1}`)];

  async function rotate(): Promise<void> {
    for (let index = OLD_FILES; index > 0; index -= 1) {
      await rename(names[index - 1] ?? path, names[index] ?? path).catch(ignoreAbsence);
    }
  }

  return {
    append: async (lines) => {
      const size = await stat(path).then(
        ({ size }) => size,
        () => 0,
      );
      if (size >= maxBytes) {
        await rotate();
      }
      await using file = await open(path, 'a', 0o600);
      const found = await file.stat();
      if ((found.mode & 0o077) !== 0) {
        await chmod(path, 0o600);
      }
      await file.appendFile(lines.map((line) => `${line}\n`).join(''));
    },
    async *read() {
      const files = await Promise.all(names.toReversed().map((name) => open(name, 'r').catch(ignoreAbsence))); // all at once: it may be rotated meanwhile
      try {
        for (const file of files) {
          if (file !== undefined) {
            yield* file.readLines({ encoding: 'utf8', autoClose: false });
          }
        }
      } finally {
        await Promise.all(files.map(async (file) => await file?.close()));
      }
    },
  };
}

/** For a server that keeps nothing: the newest entries, in memory. */
export function createAuditMemory(limit = 1000): AuditSink {
  const kept: string[] = [];
  return {
    append: async (lines) => {
      kept.push(...lines);
      kept.splice(0, Math.max(0, kept.length - limit));
    },
    async *read() {
      yield* kept.slice();
    },
  };
}
