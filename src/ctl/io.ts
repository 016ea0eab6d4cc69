/** Where a command reads and writes; tests give their own. */

import type { Readable, Writable } from 'node:stream';

/** One output stream and what it can show. */
export interface Screen {
  /** bytes as they are */
  write(text: string | Uint8Array): void;
  /** Resolves once who reads has room again, as a command must wait that writes more than it wants to hold; not there: always has */
  hasRoom?(signal: AbortSignal): Promise<void>;
  readonly isTerminal: boolean;
  /** width and height in characters; of a terminal the current ones */
  readonly columns: number;
  readonly rows: number;
  readonly hasColor: boolean;
}

export interface Io {
  /** results */
  readonly stdout: Screen;
  /** everything else: progress, warnings, errors, hints */
  readonly stderr: Screen;
  /** All of standard input, or what came before `limitBytes` were exceeded (then more than that many bytes). */
  readStdin(limitBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  /** A line that a person types on the terminal without its being shown; undefined where standard input is no terminal. */
  readHidden?(signal: AbortSignal): Promise<string | undefined>;
  /** The streams as they are, for a command that hands them on. Whoever opens them closes them. */
  openStreams(): Streams;
}

export interface Streams {
  readonly input: Readable;
  readonly output: Writable;
  readonly errors: Writable;
  /** what is typed comes from a terminal */
  readonly isInputTerminal: boolean;
  /** Lets each key through as it is typed, Ctrl-C too, and shows none; false: as before, which the end of the process sees to in any case. */
  setRaw(isRaw: boolean): void;
  /** Told when the terminal has another size. @returns ends that */
  onResize(listener: () => void): () => void;
  /** Lets go of the input, so that it does not keep the process. */
  close(): void;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The same streams without colour. */
export function withoutColor(io: Io): Io {
  const plain = (screen: Screen): Screen => ({
    write: (text) => screen.write(text),
    hasRoom: async (signal) => await screen.hasRoom?.(signal),
    isTerminal: screen.isTerminal,
    get columns() {
      return screen.columns;
    },
    get rows() {
      return screen.rows;
    },
    hasColor: false,
  });
  return { ...io, stdout: plain(io.stdout), stderr: plain(io.stderr) };
}
