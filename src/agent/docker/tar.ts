/**
 * Writes a few small files as a tar archive, owned by root; what the engine unpacks into a container: pure.
 *
 * Without entries for folders: the engine would give existing ones the owner and mode of the entry, and makes missing ones by itself.
 * Source   POSIX.1-2017 pax: ustar headers, and extended ones (type x) for paths that do not fit.
 */

const BLOCK = 512;
const NAME_BYTES = 100;

export interface TarFile {
  /** absolute */
  readonly path: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

export function toTar(files: readonly TarFile[]): Buffer {
  return Buffer.concat([...files.flatMap(toEntries), Buffer.alloc(2 * BLOCK)]);
}

function toEntries({ path, mode, content }: TarFile): readonly Buffer[] {
  const name = path.replace(/^\/+/u, '');
  const isPlain = /^[\u0020-\u007e]+$/u.test(name) && name.length <= NAME_BYTES;
  const record = Buffer.from(isPlain ? '' : toPaxRecord('path', name));
  const extended = isPlain ? [] : [toHeader({ name: 'pax', mode: 0o444, size: record.length, type: 'x' }), ...toBlocks(record)];
  const shortName = isPlain ? name : 'file'; // the extended header says the real one
  return [...extended, toHeader({ name: shortName, mode, size: content.length, type: '0' }), ...toBlocks(content)];
}

interface Header {
  readonly name: string;
  readonly mode: number;
  readonly size: number;
  /** 0: a file, x: the extended header of what comes next */
  readonly type: '0' | 'x';
}

function toHeader({ name, mode, size, type }: Header): Buffer {
  const header = Buffer.alloc(BLOCK);
  const put = (offset: number, text: string): void => void header.write(text, offset, 'latin1');
  put(0, name);
  put(100, `${toOctal(mode, 7)}\0`);
  put(108, `${toOctal(0, 7)}\0`); // owner
  put(116, `${toOctal(0, 7)}\0`); // group
  put(124, `${toOctal(size, 11)}\0`);
  put(136, `${toOctal(0, 11)}\0`); // mtime: the same input gives the same bytes
  put(148, ' '.repeat(8)); // the checksum counts itself as spaces
  put(156, type);
  put(257, 'ustar\x0000');
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${toOctal(sum, 6)}\0 `);
  return header;
}

function toOctal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function toBlocks(content: Uint8Array): readonly Buffer[] {
  const rest = content.length % BLOCK;
  return [Buffer.from(content), ...(rest === 0 ? [] : [Buffer.alloc(BLOCK - rest)])];
}

/** `LENGTH key=value\n`, the length counting its own digits. */
function toPaxRecord(key: string, value: string): string {
  const tail = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(tail);
  let length = bytes + String(bytes).length;
  if (String(length).length > String(bytes).length) {
    length = bytes + String(length).length;
  }
  return `${length}${tail}`;
}
