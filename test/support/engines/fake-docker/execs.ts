/** Commands in the fake engine's containers: they run on this machine, in no container, and without a terminal. As Docker 20.10 answers. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { newId, Refusal, type FakeDockerState } from './state.ts';

interface CreateExec {
  readonly Cmd: readonly string[];
  readonly Tty?: boolean;
  readonly AttachStdin?: boolean;
  readonly Env?: readonly string[];
  readonly User?: string;
}

export interface FakeExec {
  readonly id: string;
  readonly containerId: string;
  readonly body: CreateExec;
  /** columns x rows, in order */
  readonly sizes: string[];
  child?: ChildProcess;
  exitCode?: number;
  /** without which a program cannot be found */
  isUnstarted?: boolean;
}

export class FakeExecs {
  readonly all = new Map<string, FakeExec>();
  readonly #state: FakeDockerState;

  constructor(state: FakeDockerState) {
    this.#state = state;
  }

  /** @returns undefined for what is no business of execs */
  answer(method: string, path: string, { query, body }: { readonly query: URLSearchParams; readonly body: unknown }) {
    const create = /^\/containers\/([^/]+)\/exec$/u.exec(path);
    if (method === 'POST' && create !== null) {
      const { id: containerId, status } = this.#state.getContainer(create[1] ?? '');
      if (status !== 'running') {
        throw new Refusal(409, `Container ${containerId} is not running`);
      }
      const id = newId();
      this.all.set(id, { id, containerId, body: body as CreateExec, sizes: [] });
      return { status: 201, body: { Id: id } };
    }
    const [, id = '', act] = /^\/exec\/([^/]+)\/(json|resize)$/u.exec(path) ?? [];
    if (act === undefined) {
      return undefined;
    }
    const exec = this.#get(id);
    if (act === 'resize') {
      if (exec.child === undefined) {
        throw new Refusal(500, 'cannot resize a stopped container: unknown');
      }
      exec.sizes.push(`${query.get('w')}x${query.get('h')}`);
      return { status: 200 };
    }
    const isRunning = exec.exitCode === undefined && exec.child !== undefined;
    const pid = exec.isUnstarted === true ? 0 : (exec.child?.pid ?? 0);
    return { status: 200, body: { ID: id, Running: isRunning, ExitCode: exec.exitCode ?? null, Pid: pid } };
  }

  /** Takes a request for an upgrade: the start of one. */
  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const id = /\/exec\/([^/]+)\/start$/u.exec(request.url ?? '')?.[1] ?? '';
    socket.on('error', () => socket.destroy());
    socket.allowHalfOpen = true;
    const exec = this.all.get(id);
    if (exec === undefined) {
      socket.end('HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n{"message":"No such exec"}');
      return;
    }
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    request.resume(); // its body
    socket.unshift(head);
    this.#run(exec, socket);
  }

  #run(exec: FakeExec, socket: Socket): void {
    const [program = '', ...args] = exec.body.Cmd;
    const env = Object.fromEntries((exec.body.Env ?? []).map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)]));
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
    exec.child = child;
    const isTty = exec.body.Tty === true;
    const send = (stream: 1 | 2, chunk: Buffer): boolean => socket.write(isTty ? chunk : Buffer.concat([header(stream, chunk), chunk]));
    child.on('error', () => {
      Object.assign(exec, { exitCode: 126, isUnstarted: true });
      send(
        1,
        Buffer.from(
          `OCI runtime exec failed: exec failed: unable to start container process: exec: "${program}": executable file not found in $PATH: unknown\r\n`,
        ),
      );
      socket.end();
    });
    child.stdin.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      if (exec.body.AttachStdin === true && !child.stdin.write(chunk)) {
        socket.pause();
        child.stdin.once('drain', () => socket.resume());
      }
    });
    socket.on('end', () => child.stdin.end());
    if (exec.body.AttachStdin !== true) {
      child.stdin.end();
    }
    for (const [stream, output] of [
      [1, child.stdout],
      [2, child.stderr],
    ] as const) {
      output.on('data', (chunk: Buffer) => {
        if (!send(stream, chunk)) {
          output.pause();
          socket.once('drain', () => output.resume());
        }
      });
    }
    child.on('close', (code) => {
      exec.exitCode ??= code ?? 137;
      socket.end();
    });
  }

  #get(id: string): FakeExec {
    const exec = this.all.get(id);
    if (exec === undefined) {
      throw new Refusal(404, `No such exec instance: ${id}`);
    }
    return exec;
  }

  /** Kills what still runs. */
  end(): void {
    this.all.forEach(({ child }) => child?.kill('SIGKILL'));
  }
}

function header(stream: number, chunk: Buffer): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = stream;
  bytes.writeUInt32BE(chunk.length, 4);
  return bytes;
}
