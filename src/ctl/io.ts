/** Where a command reads and writes; tests give their own. */

/** One output stream and what it can show. */
export interface Screen {
  /** bytes as they are */
  write(text: string | Uint8Array): void;
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
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The same streams without colour. */
export function withoutColor(io: Io): Io {
  const plain = (screen: Screen): Screen => ({
    write: (text) => screen.write(text),
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
