/**
 * A command on a pseudo-terminal, as a person has it: typed to, resized, read. Through `script` of util-linux, which every Linux has.
 *
 * Owns     the process until it is disposed of.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { runOrThrow } from '../../../scripts/lib/run.ts';
import { until } from '../../../scripts/lib/wait.ts';

const WAIT_MS = 60_000;
const SCRIPT = 'script';

export interface Terminal extends AsyncDisposable {
  /** all that was on the screen so far, lines ended by \r\n as terminals have it; without colours, and what shells ask the terminal */
  screen(): string;
  /** Waits for it on the screen, after what was waited for before. */
  shows(what: RegExp): Promise<void>;
  /** control characters too */
  type(keys: string): void;
  /** Makes the window another size; whoever has the terminal gets SIGWINCH. */
  resize(columns: number, rows: number): Promise<void>;
  /** @returns the exit code of the command, once it has ended */
  exitCode(): Promise<number>;
  /** kill -9 of the command */
  kill(): void;
}

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a command. Resolves once the terminal is there and has its size. */
export async function startTerminal(command: readonly string[], { columns, rows, env = {} }: TerminalOptions): Promise<Terminal> {
  const line = `tty; echo $$; stty cols ${columns} rows ${rows}; exec "$@"`.replace('"$@"', command.map(quote).join(' '));
  const child = spawn(SCRIPT, ['-qefc', line, '/dev/null'], { env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', ...env } });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on('error', () => undefined); // it has ended
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  child.once('error', () => resolve(-1));
  child.once('close', (code) => resolve(code ?? -1));
  const all = (): string => stripVTControlCharacters(Buffer.concat(chunks).toString());
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL'); // the terminal goes with it, and whoever has it gets SIGHUP
    await exited;
  };
  try {
    const head = await until(() => /^(?<tty>\/dev\/\S+)\r\n(?<pid>\d+)\r\n/u.exec(all()) ?? false, {
      what: 'a terminal',
      timeoutMs: WAIT_MS,
    });
    const { tty = '', pid = '' } = head.groups ?? {};
    let seen = head[0].length;
    return {
      screen: () => all().slice(head[0].length),
      shows: async (what) => {
        const find = () => what.exec(all().slice(seen));
        const found = await until(() => find() ?? false, { what: `${what} on the screen`, timeoutMs: WAIT_MS }).catch((error: unknown) =>
          assert.fail(`${String(error)}; it shows ${JSON.stringify(all().slice(seen))}`),
        );
        seen += found.index + found[0].length;
      },
      type: (keys) => void child.stdin.write(keys),
      resize: async (toColumns, toRows) =>
        void (await runOrThrow('stty', ['-F', tty, 'cols', String(toColumns), 'rows', String(toRows)], { timeoutMs: 10_000 })),
      exitCode: async () => {
        await until(() => child.exitCode !== null || child.signalCode !== null, {
          what: `the end of ${command.join(' ')}`,
          timeoutMs: WAIT_MS,
        });
        return await exited;
      },
      kill: () => void process.kill(Number(pid), 'SIGKILL'),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
