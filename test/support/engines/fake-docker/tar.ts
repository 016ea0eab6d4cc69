/** Reads a tar archive of files, as far as engines do: names of 100 bytes, and longer ones in extended headers. */

export interface ReadFile {
  /** as it stands in the archive: without a leading slash */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly content: Buffer;
}

/** @throws {Error} for a header whose checksum is wrong, or an archive without an end */
export function readTar(archive: Buffer): readonly ReadFile[] {
  const files: ReadFile[] = [];
  let longPath: string | undefined;
  let offset = 0;
  for (;;) {
    const header = archive.subarray(offset, offset + 512);
    if (header.length < 512) {
      throw new Error('Cannot read the archive as it has no end');
    }
    if (header.every((byte) => byte === 0)) {
      return files;
    }
    checkSum(header);
    const size = octal(header, 124, 12);
    const content = archive.subarray(offset + 512, offset + 512 + size);
    if (text(header, 156, 1) === 'x') {
      const record = content.toString();
      const [, length, path] = /^([0-9]+) path=(.*)\n$/su.exec(record) ?? [];
      if (Number(length) !== content.length) {
        throw new Error(`Cannot read the archive as a record says that it has ${length} bytes: it has ${content.length}`);
      }
      longPath = path;
    } else {
      files.push({ path: longPath ?? text(header, 0, 100), mode: octal(header, 100, 8), uid: octal(header, 108, 8), content });
      longPath = undefined;
    }
    offset += 512 + Math.ceil(size / 512) * 512;
  }
}

function checkSum(header: Buffer): void {
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  if (sum !== octal(header, 148, 8) || text(header, 257, 5) !== 'ustar') {
    throw new Error('Cannot read the archive as a header is damaged');
  }
}

function text(header: Buffer, start: number, length: number): string {
  return header
    .subarray(start, start + length)
    .toString('latin1')
    .replace(/\0.*$/su, '');
}

function octal(header: Buffer, start: number, length: number): number {
  return Number.parseInt(text(header, start, length).trim() || '0', 8);
}
