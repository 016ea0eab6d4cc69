/**
 * Hands a command's streams on: what is typed to it, what it writes to the screen, until it has ended.
 *
 * Owns     the terminal while the command has it: set back on every way out.
 * Never    reads faster than the other side takes.
 * Callers  commands/exec.ts
 */
import type { Writable } from 'node:stream';
import { fromProblem } from '../../api/errors.ts';
import {
  decodeExecMessage,
  encodeExecFrames,
  encodeExecMessage,
  ExecFrameReader,
  type ExecExit,
  type ExecFrame,
} from '../../api/exec-frames.ts';
import { abortable } from '../../base/abortable.ts';
import type { WebSocketStream } from '../../base/web-socket.ts';
import { ClosedByPeer } from '../../base/web-socket/end.ts';
import { CtlError } from '../ctl-error.ts';
import type { Streams } from '../io.ts';
import { DetachWatch } from './detach-keys.ts';

export interface ExecStreams {
  readonly stream: WebSocketStream;
  readonly streams: Streams;
  readonly hasStdin: boolean;
  readonly hasTty: boolean;
  readonly detachKeys: Uint8Array;
  /** of the screen, now */
  readonly size: () => { readonly columns: number; readonly rows: number };
  /** for messages, such as shop/web */
  readonly name: string;
}

export type ExecEnd =
  | { readonly kind: 'exited'; readonly exitCode: number; readonly hasWritten: boolean }
  /** it runs on, as the keys for that were typed */
  | { readonly kind: 'detached' };

/** @throws {ApiError} where the command could not be started; {CtlError} where the connection ended before it did */
export async function runExecStreams(exec: ExecStreams, signal: AbortSignal): Promise<ExecEnd> {
  const { stream, streams, hasStdin, hasTty, size } = exec;
  let failure: unknown;
  stream.on('error', (error) => (failure ??= error));
  const isRaw = hasTty && hasStdin && streams.isInputTerminal;
  const stopResizing = hasTty ? streams.onResize(() => send(stream, encodeExecMessage('resize', size()))) : undefined;
  try {
    if (isRaw) {
      streams.setRaw(true);
    }
    const typing = hasStdin ? sendInput(exec) : new Promise<ExecEnd>(() => undefined);
    return await abortable(Promise.race([takeOutput(exec, typing), typing]), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw failure === undefined ? error : lost(exec.name, failure);
  } finally {
    stopResizing?.();
    if (isRaw) {
      streams.setRaw(false);
    }
    streams.close();
    stream.destroy();
  }
}

function send(stream: WebSocketStream, frame: Uint8Array): void {
  if (!stream.destroyed && !stream.writableEnded) {
    stream.write(frame);
  }
}

/** Writes what comes, until the command has ended, or is left alone: by what was typed. */
async function takeOutput({ stream, streams, name }: ExecStreams, typing: Promise<ExecEnd>): Promise<ExecEnd> {
  const reader = new ExecFrameReader();
  let hasWritten = false;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    for (const frame of reader.push(chunk)) {
      if (frame.kind === 'stdout' || frame.kind === 'stderr') {
        hasWritten = true;
        await write(frame.kind === 'stdout' ? streams.output : streams.errors, frame.payload);
      } else if (frame.kind === 'exit') {
        return { kind: 'exited', exitCode: exitCodeOf(frame), hasWritten };
      } else if (frame.kind === 'error') {
        throw fromProblem(409, decodeExecMessage(frame));
      }
    }
  }
  if (stream.writableEnded) {
    return await typing; // it was we who said that nothing more is to come
  }
  throw lost(name, undefined);
}

function exitCodeOf(frame: ExecFrame): number {
  const { exitCode } = decodeExecMessage(frame) as ExecExit;
  return exitCode & 0xff;
}

async function write(screen: Writable, bytes: Uint8Array): Promise<void> {
  if (!screen.write(Buffer.from(bytes))) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    screen.once('drain', resolve);
    screen.once('close', resolve);
    screen.once('error', reject);
    await promise;
    screen.off('drain', resolve);
    screen.off('close', resolve);
    screen.off('error', reject);
  }
}

/** Sends what is typed, or piped. Resolves only when the keys to detach were typed and the other end has taken note. */
async function sendInput({ stream, streams, hasTty, detachKeys }: ExecStreams): Promise<ExecEnd> {
  const watch = new DetachWatch(hasTty ? detachKeys : new Uint8Array(0));
  for await (const chunk of streams.input.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const { bytes, isDetached } = watch.push(chunk);
    for (const frame of bytes.length === 0 ? [] : encodeExecFrames('stdin', bytes)) {
      if (!stream.destroyed && !stream.write(frame)) {
        await drained(stream);
      }
    }
    if (isDetached) {
      encodeExecFrames('detach').forEach((frame) => send(stream, frame));
      stream.end();
      await ended(stream);
      return { kind: 'detached' };
    }
  }
  encodeExecFrames('stdinEnd').forEach((frame) => send(stream, frame));
  return await new Promise<never>(() => undefined); // the command's end is the end
}

async function drained(stream: WebSocketStream): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('drain', resolve);
  stream.once('close', resolve);
  await promise;
  stream.off('drain', resolve);
  stream.off('close', resolve);
}

async function ended(stream: WebSocketStream): Promise<void> {
  if (!stream.destroyed && !stream.readableEnded) {
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.once('close', resolve);
    await promise;
  }
}

/** The connection ended, and the command with it or not: nobody can tell how. */
function lost(name: string, failure: unknown): CtlError {
  const words = failure instanceof ClosedByPeer && failure.message !== '' ? failure.message : 'the connection to the server was lost';
  return new CtlError(`Cannot tell how the command in ${name} has ended: ${words}`, {
    cause: failure,
    hint: 'the agent ends what is left of it where it can; look with caractrl exec, and run it again',
  });
}
