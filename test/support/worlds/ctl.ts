/** caractrl in this process: what it writes is captured, what it reads is given; only the streams and the exit are not the real ones. */
import { PassThrough, Readable, Writable } from 'node:stream';
import { systemClock } from '../../../src/base/clock.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { httpFetch } from '../../../src/client/http-fetch.ts';
import type { Screen, Streams } from '../../../src/ctl/io.ts';
import { runCaractrl } from '../../../src/ctl/main.ts';

/** A command that waits for what never comes is ended, so that the test fails with what was shown. */
const LIMIT_MS = 60_000;

export interface CtlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CtlRun {
  /** never rejects */
  readonly done: Promise<CtlResult>;
  /** Resolves once the text is on stderr or stdout; rejects when the command ends without it. */
  shows(text: string): Promise<void>;
  /** so far */
  stdout(): string;
  /** Ctrl-C */
  interrupt(): void;
}

export interface CtlOptions {
  /** CARA_SERVER */
  readonly server?: string;
  /** default a minute */
  readonly limitMs?: number;
  readonly stdin?: string;
  /** what a person types where it is not shown */
  readonly hidden?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** both streams are a terminal of this size */
  readonly terminal?: { columns: number; rows: number; readonly hasColor?: boolean };
  /** what is typed, for commands that hand on their streams; default: `stdin` */
  readonly typed?: Typed;
}

/** A person at a terminal, who types and makes the window another size. */
export class Typed {
  readonly keys = new PassThrough();
  readonly rawModes: boolean[] = [];
  readonly listeners = new Set<() => void>();

  resized(): void {
    this.listeners.forEach((listener) => listener());
  }
}

/** Runs a command line to its end. */
export function ctl(args: readonly string[], options: CtlOptions = {}): Promise<CtlResult> {
  return startCtl(args, options).done;
}

export function startCtl(args: readonly string[], options: CtlOptions = {}): CtlRun {
  const stopped = new AbortController();
  const listeners = new Set<() => void>();
  const told = (): void => listeners.forEach((listener) => listener());
  const stdout = captureScreen(options, told);
  const stderr = captureScreen(options, told);
  const result = runCaractrl({
    argv: args,
    env: { HOME: '/nonexistent', ...(options.server !== undefined && { CARA_SERVER: options.server }), ...options.env },
    io: {
      stdout,
      stderr,
      readStdin: async () => Buffer.from(options.stdin ?? ''),
      readHidden: async () => options.hidden,
      openStreams: () => captureStreams(options, { stdout, stderr }),
    },
    clock: systemClock,
    random: systemRandom,
    fetch: httpFetch,
    signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(options.limitMs ?? LIMIT_MS)]),
  });
  const done = result.then((code) => ({ code, stdout: stdout.text(), stderr: stderr.text() }));
  return {
    done,
    shows: async (text) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (`${stderr.text()}\n${stdout.text()}`.includes(text)) {
          resolve();
        }
      };
      listeners.add(look);
      void done.then(({ code, stderr: said }) => reject(new Error(`caractrl ended with ${code} and never showed ${text}: ${said}`)));
      look();
      await promise;
    },
    stdout: () => stdout.text(),
    interrupt: () => stopped.abort(new DOMException('Interrupted', 'AbortError')),
  };
}

function captureScreen({ terminal }: CtlOptions, told: () => void): Screen & { text(): string } {
  let written = '';
  return {
    write: (text) => {
      written += typeof text === 'string' ? text : Buffer.from(text).toString();
      told();
    },
    text: () => written,
    isTerminal: terminal !== undefined,
    get columns() {
      return terminal?.columns ?? 100;
    },
    get rows() {
      return terminal?.rows ?? 24;
    },
    hasColor: terminal?.hasColor ?? false,
  };
}

function captureStreams(
  { stdin = '', typed }: CtlOptions,
  { stdout, stderr }: { readonly stdout: Screen; readonly stderr: Screen },
): Streams {
  const input = typed?.keys ?? Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]);
  const sink = (screen: Screen): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        screen.write(chunk);
        done();
      },
    });
  return {
    input,
    output: sink(stdout),
    errors: sink(stderr),
    isInputTerminal: typed !== undefined,
    setRaw: (isRaw) => void typed?.rawModes.push(isRaw),
    onResize: (listener) => {
      typed?.listeners.add(listener);
      return () => void typed?.listeners.delete(listener);
    },
    close: () => void input.destroy(),
  };
}
