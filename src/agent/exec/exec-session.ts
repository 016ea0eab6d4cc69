/**
 * One command in a container, from its start to its exit code: the engine's stream on one side, frames on the other (api/exec-frames.ts).
 *
 * Owns     the stream to the engine; and once whoever asked has gone, the end of what was left running.
 * Never    reads faster than the other side takes. Never passes on the engine's words as if the command had written them.
 * Callers  http/exec.ts
 */
import type { Duplex } from 'node:stream';
import { toProblem } from '../../api/errors.ts';
import {
  decodeExecMessage,
  encodeExecFrames,
  encodeExecMessage,
  ExecFrameReader,
  type ExecFrame,
  type TerminalSize,
} from '../../api/exec-frames.ts';
import { abortable } from '../../base/abortable.ts';
import type { Clock } from '../../base/clock.ts';
import type { ExecState } from '../docker/docker-types.ts';
import type { Engine } from '../docker/engine.ts';
import { EngineError } from '../docker/engine-error.ts';
import { LogFrameDecoder } from '../docker/log-frames.ts';
import type { ServiceName } from '../http/service-container.ts';
import { explainStartFailure } from './start-failure.ts';

export interface ExecPorts {
  readonly engine: Pick<Engine, 'resizeExec' | 'inspectExec'>;
  readonly clock: Clock;
  /** ends what is left running when whoever asked has gone; lasts beyond the session */
  readonly abandon: (left: LeftRunning) => void;
}

export interface LeftRunning {
  readonly execId: string;
  readonly containerId: string;
  readonly hasTty: boolean;
}

export interface ExecSession {
  readonly name: ServiceName;
  readonly command: readonly string[];
  readonly containerId: string;
  readonly execId: string;
  readonly hasTty: boolean;
  /** of the terminal at first; undefined: as the engine likes */
  readonly size: TerminalSize | undefined;
  /** the engine's */
  readonly process: Duplex;
}

const RESIZE_TRIES = 10; // the engine refuses until the command has really begun
const RESIZE_WAIT_MS = 20;
const LOOK_FIRST_MS = 5; // at a command whose output has ended; mostly it has ended too
const LOOK_LAST_MS = 1000;

/** Carries the command to its end, and tells its exit code. @throws when the stream to whoever asked, or to the engine, breaks */
export async function runExec(ports: ExecPorts, session: ExecSession, stream: Duplex, signal: AbortSignal): Promise<void> {
  const { process } = session;
  let isOver = false;
  const leave = (): void => {
    if (!isOver) {
      isOver = true;
      process.end(); // an end of its input is all that many wait for
      ports.abandon(session);
    }
  };
  // at once: when the agent stops, what is begun later is not waited for
  signal.addEventListener('abort', leave, { once: true });
  const input = new Input(ports, session, signal);
  try {
    signal.throwIfAborted();
    const work = Promise.race([input.run(stream), runToEnd(ports, session, { stream, input }, signal)]);
    const last = await abortable(work, signal);
    isOver = true;
    await finish(stream, last);
  } catch (error) {
    leave();
    throw error;
  } finally {
    signal.removeEventListener('abort', leave);
    process.destroy();
  }
}

interface Ends {
  readonly stream: Duplex;
  readonly input: Input;
}

/** @returns what is to be said last */
async function runToEnd(ports: ExecPorts, session: ExecSession, { stream, input }: Ends, signal: AbortSignal): Promise<Uint8Array> {
  void input.resize(session.size); // never rejects
  const words = await sendOutput(ports, session, stream, signal);
  const { exitCode = KILLED } = await waitForEnd(ports, session, signal);
  return words === undefined
    ? encodeExecMessage('exit', { exitCode })
    : encodeExecMessage('error', toProblem(explainStartFailure({ ...session.name, command: session.command, words })));
}

/** What comes from whoever asked: what they type, and what is said of the terminal. */
class Input {
  readonly #ports: ExecPorts;
  readonly #session: ExecSession;
  readonly #signal: AbortSignal;

  constructor(ports: ExecPorts, session: ExecSession, signal: AbortSignal) {
    this.#ports = ports;
    this.#session = session;
    this.#signal = signal;
  }

  /** Resolves only when whoever asked wants to leave the command alone: with nothing, as there is nothing to say. @throws when the stream is cut */
  async run(stream: Duplex): Promise<Uint8Array> {
    const { process } = this.#session;
    const reader = new ExecFrameReader();
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      for (const frame of reader.push(chunk)) {
        if (frame.kind === 'detach') {
          return NOTHING;
        }
        await this.#take(frame);
      }
    }
    process.end(); // who says nothing more has no more input
    return await new Promise<never>(() => undefined); // the output's end says how it goes on
  }

  async #take(frame: ExecFrame): Promise<void> {
    const { process } = this.#session;
    if (frame.kind === 'stdin' && !process.writableEnded && !process.destroyed) {
      // a copy: the chunk that it is a view of is let go. A command that takes no more has ended, or is about to: its exit code says it
      await write(process, Buffer.from(frame.payload)).catch(() => undefined);
    } else if (frame.kind === 'stdinEnd') {
      process.end();
    } else if (frame.kind === 'resize') {
      await this.resize(readSize(frame));
    }
  }

  /** Never rejects: a terminal of another size is no reason to end anything. */
  async resize(size: TerminalSize | undefined): Promise<void> {
    for (let tries = 1; size !== undefined; tries += 1) {
      try {
        await this.#ports.engine.resizeExec(this.#session.execId, size, this.#signal);
        return;
      } catch (error) {
        if (!(error instanceof EngineError) || tries >= RESIZE_TRIES || this.#session.process.readableEnded) {
          return;
        }
        await this.#ports.clock.sleep(RESIZE_WAIT_MS * tries, this.#signal).catch(() => undefined);
      }
    }
  }
}

function readSize(frame: ExecFrame): TerminalSize | undefined {
  const { columns, rows } = decodeExecMessage(frame) as { readonly columns?: unknown; readonly rows?: unknown };
  const isSize = (value: unknown): value is number => Number.isInteger(value) && Number(value) > 0 && Number(value) < 10_000;
  return isSize(columns) && isSize(rows) ? { columns, rows } : undefined;
}

/** Sends what the command writes, as it comes. @returns the engine's words where the command could not be started at all */
async function sendOutput(ports: ExecPorts, session: ExecSession, stream: Duplex, signal: AbortSignal): Promise<string | undefined> {
  const decoder = session.hasTty ? undefined : new LogFrameDecoder();
  let words: string | undefined;
  let isFirst = true;
  for await (const chunk of session.process.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    const frames = decoder?.push(chunk) ?? [{ stream: 'stdout' as const, bytes: chunk }];
    if (isFirst && frames.length > 0) {
      isFirst = false;
      const state = await ports.engine.inspectExec(session.execId, signal);
      words = state !== undefined && isUnstarted(state) ? '' : undefined;
    }
    for (const { stream: kind, bytes } of frames) {
      if (words !== undefined) {
        words += Buffer.from(bytes).toString('utf8');
        continue;
      }
      for (const frame of encodeExecFrames(kind, bytes)) {
        await write(stream, frame);
      }
    }
  }
  return words;
}

/** It has ended without ever having been a process. */
function isUnstarted({ isRunning, pid }: ExecState): boolean {
  return !isRunning && pid === undefined;
}

/** The output has ended; mostly so has the command, but it may have closed it alone. */
async function waitForEnd({ engine, clock }: ExecPorts, { execId }: ExecSession, signal: AbortSignal): Promise<ExecState> {
  for (let waitMs = LOOK_FIRST_MS; ; waitMs = Math.min(LOOK_LAST_MS, waitMs * 2)) {
    const state = await engine.inspectExec(execId, signal);
    if (state === undefined) {
      return { isRunning: false, exitCode: KILLED, pid: undefined }; // its container has ended, and it with that
    }
    if (!state.isRunning) {
      return state;
    }
    await clock.sleep(waitMs, signal);
  }
}

const NOTHING = new Uint8Array(0);
const KILLED = 137; // 128 + SIGKILL, which is what happens to it

/** Resolves when the stream takes more. @throws when it is cut */
async function write(stream: Duplex, bytes: Uint8Array): Promise<void> {
  if (stream.destroyed || stream.writableEnded) {
    throw new Error('Cannot write to a stream that has ended');
  }
  if (!stream.write(bytes)) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = (): void => reject(new Error('Cannot write on as the stream was cut'));
    stream.once('drain', resolve);
    stream.once('close', onClose);
    try {
      await promise;
    } finally {
      stream.off('drain', resolve);
      stream.off('close', onClose);
    }
  }
}

/** Says the last thing and ends. @throws when the stream is cut before it is gone */
async function finish(stream: Duplex, frame: Uint8Array): Promise<void> {
  const { finished } = process.getBuiltinModule('node:stream/promises');
  stream.end(frame);
  await finished(stream, { readable: false });
}
