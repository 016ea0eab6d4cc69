/** Finds and reads what `-f` names: files, folders, standard input. Nothing is parsed here. */
import type { Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainFileError } from '../../base/file-error.ts';
import { CtlError } from '../ctl-error.ts';
import type { Io } from '../io.ts';

/** The server refuses larger bodies too; said before anything is parsed, as parsing is what a large file is dangerous for. */
export const MAX_FILE_BYTES = 1024 * 1024;
const EXTENSIONS = ['.yaml', '.yml', '.json'];

export interface ManifestSource {
  /** the path as given, or <stdin> */
  readonly file: string;
  readonly text: string;
}

export interface SourceOptions {
  readonly isRecursive: boolean;
  readonly io: Pick<Io, 'readStdin'>;
}

/** Reads all of them, folders in the order of their names. @throws {CtlError} */
export async function readSources(
  paths: readonly string[],
  { isRecursive, io }: SourceOptions,
  signal: AbortSignal,
): Promise<readonly ManifestSource[]> {
  const sources: ManifestSource[] = [];
  for (const path of paths) {
    if (path === '-') {
      const bytes = await io.readStdin(MAX_FILE_BYTES, signal);
      checkSize('<stdin>', bytes.byteLength);
      sources.push({ file: '<stdin>', text: decodeText('<stdin>', bytes) });
      continue;
    }
    for (const file of await findFiles(path, isRecursive)) {
      const { size } = await describe(file);
      checkSize(file, size);
      sources.push({ file, text: decodeText(file, await access(file, () => readFile(file, { signal }))) });
    }
  }
  return sources;
}

async function findFiles(path: string, isRecursive: boolean): Promise<readonly string[]> {
  if (/^https?:\/\//u.test(path)) {
    throw new CtlError(`Cannot read ${path} as only files and folders of this machine are read`, {
      hint: `look at it first, then: curl -fsSL ${path} | caractrl apply -f -`,
    });
  }
  const stats = await describe(path);
  if (!stats.isDirectory()) {
    return [path];
  }
  const entries = await access(path, () => readdir(path, { withFileTypes: true, recursive: isRecursive }));
  const files = entries
    .filter((entry) => !entry.isDirectory() && EXTENSIONS.some((extension) => entry.name.toLowerCase().endsWith(extension)))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  if (files.length === 0) {
    const hint = isRecursive ? undefined : entries.some((entry) => entry.isDirectory()) ? 'add -R to look into its folders too' : undefined;
    throw new CtlError(`Cannot find a manifest in the folder ${path}: it has no file that ends in ${EXTENSIONS.join(', ')}`, {
      ...(hint !== undefined && { hint }),
    });
  }
  return files;
}

function describe(path: string): Promise<Stats> {
  return access(path, () => stat(path));
}

async function access<Value>(path: string, read: () => Promise<Value>): Promise<Value> {
  try {
    return await read();
  } catch (error) {
    throw new CtlError(`Cannot read ${path} as ${explainFileError(error)}`, { cause: error });
  }
}

function checkSize(file: string, bytes: number): void {
  if (bytes > MAX_FILE_BYTES) {
    const actual = file === '<stdin>' ? 'more than that was sent' : `it has ${bytes} bytes, ${bytes - MAX_FILE_BYTES} too many`;
    throw new CtlError(`Cannot read ${file} as a manifest file may have at most 1 MiB: ${actual}`, {
      hint: 'put its documents into several files, and large content into an image or a volume',
    });
  }
}

function decodeText(file: string, bytes: Uint8Array): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new CtlError(`Cannot read ${file} as it is UTF-16: save it as UTF-8`);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) {
      throw new TypeError('NUL byte');
    }
    return text;
  } catch (error) {
    throw new CtlError(`Cannot read ${file} as it is no text file: a manifest is YAML or JSON in UTF-8`, { cause: error });
  }
}
