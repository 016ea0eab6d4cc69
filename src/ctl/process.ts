/**
 * The real streams and signals. Callers: main.ts.
 */
import { once } from 'node:events';
import { addAbortSignal } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { Io, Screen, Streams } from './io.ts';

/** A pipe has no width; help and progress are laid out for this one. */
const DEFAULT_COLUMNS = 100;
const DEFAULT_ROWS = 24;

/** ms from Ctrl-C on, in which a command says and sets back what it has to. It waits for nobody meanwhile: its signal has ended that. */
const WINDING_UP_MS = 2000;
/** ms after its end, in which what holds the process may let go by itself. */
const LETTING_GO_MS = 500;

/** What the thread pool is at, which neither the signal nor process.exit() can end: names that are looked up, pipes that are read. */
const POOLED = /^(?:FSReq|GetAddrInfo|GetNameInfo|FileHandleCloseReq)/u;

export interface Process {
  readonly io: Io;
  /** aborts at Ctrl-C */
  readonly signal: AbortSignal;
  /** Ends the process. After Ctrl-C nothing that is still going on holds it: no server, no name service, no pipe. */
  readonly end: (exitCode: number) => void;
}

export function openProcess(clock: Clock): Process {
  const stopped = new AbortController();
  let signalName: NodeJS.Signals = 'SIGINT';
  const dieSoon = (ms: number): void => {
    void clock.sleep(ms, new AbortController().signal).then(() => die(signalName));
  };
  // The second Ctrl-C finds no handler and ends the process at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      signalName = name;
      dieSoon(WINDING_UP_MS);
      stopped.abort(new DOMException('Interrupted', 'AbortError'));
    });
  }
  return {
    io: { stdout: openScreen(process.stdout), stderr: openScreen(process.stderr), readStdin, readHidden, openStreams },
    signal: stopped.signal,
    end: (exitCode) => {
      process.exitCode = exitCode;
      if (!stopped.signal.aborted) {
        return; // what is written is still being read
      }
      dieSoon(LETTING_GO_MS);
      // process.exit() joins the thread pool (libuv, uv_library_shutdown): it would wait for what cannot be ended
      if (!process.getActiveResourcesInfo().some((name) => POOLED.test(name))) {
        process.stdout.write('', () => process.stderr.write('', () => process.exit()));
      }
    },
  };
}

/** As by the signal without a handler, which shells tell as 128 and its number too; nothing is waited for. */
function die(name: NodeJS.Signals): void {
  if (process.stdin.isTTY) {
    process.stdin.setRawMode(false);
  }
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

function openScreen(stream: NodeJS.WriteStream): Screen {
  // `caractrl get nodes | head -1`: who reads no more has what they wanted
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') {
      throw error;
    }
    process.exit();
  });
  const { env } = process;
  const isPlain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return {
    write: (text) => {
      stream.write(text);
    },
    hasRoom: async (signal) => {
      if (stream.writableNeedDrain) {
        await once(stream, 'drain', { signal });
      }
    },
    isTerminal: stream.isTTY && env['TERM'] !== 'dumb',
    get columns() {
      return stream.columns || DEFAULT_COLUMNS;
    },
    get rows() {
      return stream.rows || DEFAULT_ROWS;
    },
    hasColor: stream.isTTY && !isPlain,
  };
}

async function readStdin(limitBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, process.stdin).iterator({ destroyOnReturn: true })) {
    const buffer: Uint8Array = chunk instanceof Uint8Array ? chunk : Buffer.from(String(chunk));
    chunks.push(buffer);
    bytes += buffer.byteLength;
    if (bytes > limitBytes) {
      break;
    }
  }
  return Buffer.concat(chunks);
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACE = /[\b\u007f]/u;

async function readHidden(signal: AbortSignal): Promise<string | undefined> {
  const { stdin } = process;
  if (!stdin.isTTY) {
    return undefined;
  }
  stdin.setRawMode(true); // nothing that is typed is shown
  try {
    let line = '';
    for await (const chunk of addAbortSignal(signal, stdin).iterator({ destroyOnReturn: false })) {
      for (const character of String(chunk)) {
        if (character === '\r' || character === '\n' || character === CTRL_D) {
          return line;
        }
        if (character === CTRL_C) {
          process.kill(process.pid, 'SIGINT'); // as where the terminal makes it of the key
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));
        }
        line = BACKSPACE.test(character) ? line.slice(0, -1) : line + character;
      }
    }
    return line;
  } finally {
    stdin.setRawMode(false);
    stdin.destroy();
  }
}

function openStreams(): Streams {
  const { stdin, stdout, stderr } = process;
  return {
    input: stdin,
    output: stdout,
    errors: stderr,
    isInputTerminal: stdin.isTTY,
    setRaw: (isRaw) => {
      stdin.setRawMode(isRaw);
      if (isRaw) {
        keepLineFeeds();
      }
    },
    onResize: (listener) => {
      stdout.on('resize', listener);
      return () => stdout.off('resize', listener);
    },
    close: () => void stdin.destroy(),
  };
}

/**
 * Node's raw mode leaves the terminal to make CR LF of each LF that is written (libuv 1.x, UV_TTY_MODE_RAW), which garbles what full-screen
 * programs draw. Its end sets that back too. Where there is no stty, it stays so.
 */
function keepLineFeeds(): void {
  process.getBuiltinModule('node:child_process').spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'], timeout: 1000 });
}
