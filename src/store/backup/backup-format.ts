/**
 * The form of a backup, the same for every backend: gzip around JSON lines. The first says what it is, each that follows is one object as
 * it was stored (Secrets encrypted), the last counts them and has the SHA-256 of all lines before it, so that a file cut short is no backup.
 *
 * Callers  backup-file.ts; people, with `zcat FILE | head`.
 */
import { createHash } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { StoredObject } from '../store.ts';

const FORMAT = 'caravanserai-backup';

/** What this build writes; it reads all before it. */
const FORMAT_VERSION = 1;

/** No object comes near: a request's body has 1 MiB at most. */
const MAX_LINE_CHARACTERS = 64 * 1024 * 1024;

export interface BackupHeader {
  /** RFC 3339 */
  readonly createdAt: string;
  /** of the program that wrote it */
  readonly serverVersion: string;
  /** the store's version that it shows */
  readonly version: number;
}

export interface BackupSummary extends BackupHeader {
  readonly objects: number;
}

/** The lines of a backup, each with its newline, several at a time. @param documents each object as JSON */
export function* writeLines(header: BackupHeader, documents: Iterable<string>): Generator<string> {
  const hash = createHash('sha256');
  let chunk = `${JSON.stringify({ format: FORMAT, formatVersion: FORMAT_VERSION, ...header })}\n`;
  let objects = 0;
  for (const document of documents) {
    chunk += `${document}\n`;
    objects += 1;
    if (chunk.length > 256 * 1024) {
      hash.update(chunk);
      yield chunk;
      chunk = '';
    }
  }
  hash.update(chunk);
  yield chunk;
  yield `${JSON.stringify({ end: true, objects, sha256: hash.digest('hex') })}\n`;
}

/**
 * Reads the lines of a backup. @param onObject called with each object, before it is known whether the file is whole: what is made of
 * them must count only when this has resolved
 * @throws {ApiError} Invalid; its message completes "Cannot use backup FILE as"
 */
export async function readLines(
  chunks: AsyncIterable<Buffer>,
  onObject: (object: StoredObject, json: string) => void | Promise<void>,
): Promise<BackupSummary> {
  const hash = createHash('sha256');
  let header: BackupHeader | undefined;
  let end: { readonly objects: number; readonly sha256: string } | undefined;
  let objects = 0;
  for await (const line of splitLines(chunks)) {
    if (end !== undefined) {
      throw damaged('something follows its last line');
    }
    if (header === undefined) {
      header = readHeader(line);
    } else if (line.startsWith('{"end":true,')) {
      end = parse(line) as { readonly objects: number; readonly sha256: string };
      continue;
    } else {
      const object = parse(line) as StoredObject;
      if (typeof object.kind !== 'string' || typeof object.metadata?.name !== 'string' || typeof object.metadata.uid !== 'string') {
        throw damaged(`line ${objects + 2} is no object`);
      }
      objects += 1;
      await onObject(object, line);
    }
    hash.update(line).update('\n');
  }
  if (header === undefined || end === undefined) {
    throw damaged('it is cut short');
  }
  if (end.objects !== objects || end.sha256 !== hash.digest('hex')) {
    throw damaged(`its content does not match its checksum: ${objects} of ${end.objects} objects are there`);
  }
  return { ...header, objects };
}

function readHeader(line: string): BackupHeader {
  const { format, formatVersion, ...header } = parse(line) as Partial<BackupHeader> & { format?: unknown; formatVersion?: unknown };
  const { version, createdAt, serverVersion } = header;
  if (format !== FORMAT) {
    throw foreign();
  }
  if (typeof formatVersion !== 'number' || formatVersion > FORMAT_VERSION) {
    throw new ApiError(
      'Invalid',
      `it was written by a newer version, upgrade cara-server: its format is ${String(formatVersion)}, this build knows up to ${FORMAT_VERSION}`,
    );
  }
  if (!Number.isSafeInteger(version) || typeof createdAt !== 'string' || typeof serverVersion !== 'string') {
    throw damaged('its first line is not whole');
  }
  return { version: version ?? 0, createdAt, serverVersion };
}

/** The refusal of a file that is no backup of ours. */
export function foreign(): ApiError {
  return new ApiError('Invalid', 'it is no backup of cara-server: it must be a file that cara-server backup wrote');
}

/** The refusal of a file that was one. */
export function damaged(found: string): ApiError {
  return new ApiError('Invalid', `it is damaged, take another one: ${found}`);
}

function parse(line: string): object {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) {
      return value;
    }
  } catch {
    // as below
  }
  throw damaged('a line is not JSON');
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > MAX_LINE_CHARACTERS) {
      throw damaged('a line has no end');
    }
  }
  if (rest !== '') {
    throw damaged('it is cut short');
  }
}
