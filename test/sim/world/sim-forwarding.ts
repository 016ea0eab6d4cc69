/** What servers hand on to each other, over the simulated network: `http.request` as src/server/cluster/forward.ts uses it. */
import type { ClientRequest, OutgoingHttpHeaders } from 'node:http';
import { Writable } from 'node:stream';
import type { OpenRequest } from '../../../src/server/cluster/forward.ts';
import type { Life } from './life.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimClock } from './sim-clock.ts';
import { isChallenge, type Listener, type NetworkOptions } from './sim-network.ts';

const MAX_DELAY_MS = 20;
const GONE = new DOMException('Nobody waits any more', 'AbortError'); // made once: each has a stack trace

export interface ForwardingOptions {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  /** of the server that hands on */
  readonly life: Life;
  readonly server: string;
  readonly network: NetworkOptions;
  /** whether nothing gets through between the two */
  readonly isCut: (to: string) => boolean;
}

export function createForwarding(options: ForwardingOptions): OpenRequest {
  return (url, request) => new SimRequest(options, url, request) as unknown as ClientRequest;
}

class SimRequest extends Writable {
  readonly #options: ForwardingOptions;
  readonly #url: URL;
  readonly #request: Parameters<OpenRequest>[1];
  readonly #chunks: Buffer[] = [];
  readonly #ended = new AbortController();
  #timer = new AbortController();
  #isAnswered = false;

  constructor(options: ForwardingOptions, url: URL, request: Parameters<OpenRequest>[1]) {
    super({ autoDestroy: false }); // it lasts until it is answered
    this.#options = options;
    this.#url = url;
    this.#request = request;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    void this.#send();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#timer.abort(GONE);
    this.#ended.abort(GONE);
    done(this.#isAnswered ? null : error);
  }

  setTimeout(ms: number, onTimeout?: () => void): this {
    this.#timer.abort(GONE);
    this.#timer = new AbortController();
    if (ms > 0 && onTimeout !== undefined) {
      const { clock, life } = this.#options;
      void life.guard(clock.sleep(ms, this.#timer.signal)).then(onTimeout, () => undefined);
    }
    return this;
  }

  async #send(): Promise<void> {
    const { clock, random, life, network } = this.#options;
    const travel = async (): Promise<void> => await clock.sleep(1 + random.next() * MAX_DELAY_MS, this.#ended.signal);
    try {
      await travel();
      const target = network.listener(this.#url.host);
      if (target === undefined) {
        throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      }
      if (this.#options.isCut(target.name)) {
        return; // until nobody waits any more
      }
      const forget = target.life.onEnd(() => this.#fail(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })));
      const answer = await this.#ask(target);
      forget();
      await travel();
      if (this.#options.isCut(target.name)) {
        answer.stream().on('error', () => undefined);
        return;
      }
      await life.guard(Promise.resolve());
      if (!this.#ended.signal.aborted) {
        this.#isAnswered = true;
        this.emit('response', Object.assign(answer.stream(), { statusCode: answer.statusCode, headers: answer.headers }));
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  async #ask(target: Listener) {
    await target.life.running();
    const { method = 'GET', path = '/', headers } = this.#request;
    const { network, server, clock, life } = this.#options;
    const [askedAtMs, payload] = [clock.monotonicMs(), Buffer.concat(this.#chunks)];
    const answer = await target.server.app.inject({
      method: method as 'GET',
      url: path,
      headers: toStrings(headers),
      ...(payload.length > 0 && { payload }),
      payloadAsStream: true,
    });
    const told = { status: answer.statusCode, isChallenge: isChallenge(answer), body: payload.toString(), askedAtMs };
    network.onAnswer({ from: server, process: life, server: target.name, method, path, ...told });
    return answer;
  }

  /** In the name of the process that waits. */
  #fail(error: Error): void {
    if (!this.#ended.signal.aborted) {
      void this.#options.life.guard(Promise.resolve()).then(() => this.destroy(error));
    }
  }
}

function toStrings(headers: OutgoingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
