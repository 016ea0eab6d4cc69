/** Folders for a test, gone with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Scratch extends Disposable {
  readonly path: string;
}

/** A new, empty folder with a short name (sockets lie in some). `using scratch = makeScratch()` removes it at the end. */
export function makeScratch(): Scratch {
  const folder = mkdtempSync(path.join(tmpdir(), 'x'));
  return { path: folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
