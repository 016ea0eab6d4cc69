/**
 * The network between machines and the control plane: requests and answers take time, get lost, come twice, overtake each other, and
 * connections go dead without a word.
 *
 * Owns     the state of each line. A line that is cut loses what would arrive; TCP would keep it for a while, and give up.
 */
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import type { FetchAnswer, FetchFunction, FetchRequest } from '../../../src/client/transport.ts';
import type { RunningServer } from '../../../src/server/main.ts';
import type { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import type { Trace } from './trace.ts';

/** One machine's line, in both directions. */
export interface Line {
  readonly name: string;
  readonly random: SeededRandom;
  /** nothing arrives at the server */
  isCutUp: boolean;
  /** nothing arrives at the machine */
  isCutDown: boolean;
  /** of requests and of answers, each */
  lossRate: number;
  /** of requests: the server gets them once more, later */
  duplicateRate: number;
  maxDelayMs: number;
}

export const GOOD_LINE = { isCutUp: false, isCutDown: false, lossRate: 0, duplicateRate: 0, maxDelayMs: 50 } as const;

const GONE = new DOMException('Nobody waits any more', 'AbortError'); // made once: each has a stack trace

/** A server as the network reaches it. */
export interface Listener {
  readonly name: string;
  /** agents do not get through to it */
  readonly isCutOff: () => boolean;
  readonly server: RunningServer;
  readonly life: Life;
}

export interface NetworkOptions {
  readonly clock: SimClock;
  readonly trace: Trace;
  /** who listens there now; undefined: nobody, and connections are refused */
  readonly listener: (host: string) => Listener | undefined;
  /** the server has answered; whether that arrives is another matter */
  readonly onAnswer: (answer: ServerAnswer) => void;
}

export interface ServerAnswer {
  readonly server: string;
  /** who asked */
  readonly from: string;
  /** the process of it that did, which may be over */
  readonly process: Life;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** a heartbeat was not taken in: its sender is to say first who it is */
  readonly isChallenge: boolean;
  /** of the request */
  readonly body: string;
  /** when the server got the request, in virtual milliseconds */
  readonly askedAtMs: number;
}

/** `fetch` for a process at the end of a line. */
export function connectLine({ clock, trace, listener, onAnswer }: NetworkOptions, line: Line, life: Life): FetchFunction {
  const travel = async (signal: AbortSignal): Promise<void> =>
    await clock.sleep(1 + line.random.next() * line.maxDelayMs, signal).catch(() => undefined);

  async function deliver(url: string, request: FetchRequest): Promise<FetchAnswer> {
    const { signal } = request;
    const path = url.replace(/^https?:\/\/[^/]+/u, '');
    const what = `${line.name} ${request.method} ${path.replace(/\?.*resourceVersion=.*$/u, '?watch')}`;
    await travel(signal);
    if (line.isCutUp || line.random.chance(line.lossRate)) {
      trace.add(`${what} lost`);
      return await silence(signal);
    }
    const { host } = new URL(url);
    const target = listener(host);
    if (target?.isCutOff() === true) {
      trace.add(`${what} lost`);
      return await silence(signal);
    }
    if (target === undefined) {
      trace.add(`${what} refused`);
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    }
    const ended = new AbortController();
    const options: InjectOptions = {
      method: request.method as 'GET',
      url: path,
      headers: { ...request.headers, host },
      ...(request.body !== undefined && { payload: request.body as string }),
      payloadAsStream: true,
      signal: ended.signal,
    };
    const askedAtMs = clock.monotonicMs();
    await untilCut(target.life.running(), target.life, signal);
    const answering = target.server.app.inject(options);
    if (request.method !== 'GET' && line.random.chance(line.duplicateRate)) {
      void repeat(target, options, signal);
    }
    signal.addEventListener('abort', () => ended.abort(GONE), { once: true });
    const answer = await untilCut(answering, target.life, signal);
    answer.stream().on('error', () => undefined); // who reads it hears of it
    life.onEnd(() => ended.abort(GONE));
    const { method, body = '' } = request;
    const answered = {
      server: target.name,
      method,
      path,
      status: answer.statusCode,
      isChallenge: isChallenge(answer),
      body: body as string,
      askedAtMs,
    };
    onAnswer({ ...answered, from: line.name, process: life });
    await travel(signal);
    if (line.isCutDown || target.isCutOff() || line.random.chance(line.lossRate)) {
      trace.add(`${what} ${answer.statusCode} lost`);
      ended.abort(GONE);
      return await silence(signal);
    }
    trace.add(`${what} ${answer.statusCode}`);
    return toAnswer(answer, read(answer, { target, signal }));
  }

  /** The same request once more, whose answer nobody reads. */
  async function repeat(target: Listener, options: InjectOptions, signal: AbortSignal): Promise<void> {
    await travel(signal);
    if (!target.life.isOver) {
      trace.add(`${line.name} ${String(options.method)} again`);
      const askedAtMs = clock.monotonicMs();
      const again = { ...options, payloadAsStream: false, signal: new AbortController().signal } as const;
      const answer = await target.server.app.inject(again);
      onAnswer({
        from: line.name,
        process: life,
        server: target.name,
        method: String(options.method),
        path: options.url as string,
        status: answer.statusCode,
        isChallenge: isChallenge(answer),
        body: (options.payload ?? '') as string,
        askedAtMs,
      });
    }
  }

  /** The body as it comes; once anything of it is lost the connection is half open: nothing more comes, and nobody says so. */
  async function* read(
    answer: LightMyRequestResponse,
    { target, signal }: { readonly target: Listener; readonly signal: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const chunks = (answer.stream() as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    for (;;) {
      const step = await untilCut(chunks.next(), target.life, signal);
      if (step.done === true) {
        return;
      }
      await travel(signal);
      if (line.isCutDown || line.isCutUp || target.isCutOff()) {
        trace.add(`${line.name} stream half open`);
        await silence(signal);
      }
      yield step.value;
    }
  }

  return async (url, request) => await life.act(async () => await deliver(url, request));
}

export function isChallenge({ headers }: LightMyRequestResponse): boolean {
  return headers['cara-challenge'] !== undefined;
}

/** @throws the signal's reason, and before that nothing happens */
function silence(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  promise.catch(() => undefined);
  return promise;
}

/** What `work` comes to. @throws when the process at the other end dies first, as its kernel resets the connection, or the signal aborts */
async function untilCut<Result>(work: Promise<Result>, life: Life, signal: AbortSignal): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onEnd = (): void => reject(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) {
    onAbort();
  }
  const forget = life.onEnd(onEnd);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    forget();
  }
}

function toAnswer({ statusCode, headers }: LightMyRequestResponse, body: AsyncGenerator<Uint8Array>): FetchAnswer {
  return {
    ok: statusCode >= 200 && statusCode < 300,
    status: statusCode,
    headers: { get: (name) => [headers[name.toLowerCase()] ?? []].flat().join(', ') || null },
    body,
    text: async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) {
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString();
    },
  };
}
