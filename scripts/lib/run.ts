/** Running other programs: no shell, output captured or passed on, bounded. */
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  /** after it the program is killed; default none */
  readonly timeoutMs?: number;
  /** 'inherit' shows the output instead of capturing it */
  readonly output?: 'capture' | 'inherit';
  readonly signal?: AbortSignal;
}

export interface RunResult {
  /** undefined when a signal ended it, or it could not be started */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Never rejects: a program that cannot be started gives code undefined and says why in `stderr`. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const stdio: StdioOptions = options.output === 'inherit' ? ['ignore', 'inherit', 'inherit'] : ['pipe', 'pipe', 'pipe'];
  const child = spawn(command, args, {
    stdio,
    cwd: options.cwd,
    env: withSystemPath(options.env ?? process.env),
    signal: options.signal,
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
  });
  child.stdin?.on('error', () => undefined); // a program that does not read its input
  child.stdin?.end(options.input ?? '');
  return await collect(child);
}

/** Adds the folders of system programs to PATH: a plain `su` leaves them out. */
export function withSystemPath(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, PATH: `${env['PATH'] ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin` };
}

async function collect(child: ChildProcess): Promise<RunResult> {
  const { promise, resolve } = Promise.withResolvers<RunResult>();
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[stream] += chunk;
    });
  }
  child.on('error', (error) => resolve({ code: undefined, stdout: text.stdout, stderr: `${text.stderr}${error.message}` }));
  child.on('close', (code) => resolve({ code: code ?? undefined, ...text }));
  return await promise;
}

/** Runs a program that must succeed. @returns its stdout @throws {Error} with its last lines of output */
export async function runOrThrow(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) {
    const said = lastLines(`${stdout}\n${stderr}`, 5);
    throw new Error(`Cannot run ${[command, ...args].join(' ')}: exit code ${code ?? 'none'}${said === '' ? '' : `: ${said}`}`);
  }
  return stdout;
}

/** The last `count` lines that are not empty. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}
