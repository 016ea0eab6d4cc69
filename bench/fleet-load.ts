/**
 * The agents of fleet.ts, a process of its own: takes jobs as JSON lines, and answers each with what came of it.
 *
 * Latencies count from when a request was due, not from when a connection was free for it: a server that stands still is not measured by
 * the one request that waits, but by all that would have come.
 */
import { createInterface } from 'node:readline';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { agentName, TEMPLATES, writeNumber, type Saying } from './fleet-agents.ts';
import { RawConnection } from './raw-connection.ts';

export interface Job {
  readonly id: number;
  readonly port: number;
  /** `watch` opens a watch of its Projects for each agent, which stays */
  readonly saying: Saying | 'watch';
  /** agents `from` to `to`, this one not included, each in turn; over and over where there is time */
  readonly from: number;
  readonly to: number;
  readonly connections: number;
  /** how many to send a second; undefined: as many as it takes */
  readonly perSecond?: number;
  /** undefined: each agent once */
  readonly seconds?: number;
  /** before those, in which nothing is counted: connections open, and programs get going */
  readonly warmUpSeconds?: number;
}

export interface Outcome {
  readonly id: number;
  readonly count: number;
  readonly perSecond: number;
  /** status -> how many, of answers that are no success */
  readonly refused: Readonly<Record<number, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** the longest that this process did not get to send what was due, busy with itself or without a core */
  readonly ownLongestMs: number;
}

type Asking = Job & { readonly saying: Saying };

/** A connection, and the bytes of its request. */
interface Line {
  readonly connection: RawConnection;
  readonly bytes: Buffer;
}

/** Sends requests as they fall due, on whatever connections are free. */
class Sender {
  readonly #job: Asking;
  readonly #lines: readonly Line[];
  readonly #free: Line[];
  readonly #refused: Record<number, number> = {};
  readonly #latencies: number[] = [];
  readonly #done = Promise.withResolvers<void>();
  readonly #startedMs = performance.now();
  readonly #countedFromMs: number;
  #sent = 0;
  #answered = 0;
  #lookedAtMs = Infinity;
  #ownLongestMs = 0;

  constructor(job: Asking) {
    this.#job = job;
    this.#countedFromMs = this.#startedMs + (job.warmUpSeconds ?? 0) * 1000;
    this.#lines = Array.from({ length: job.connections }, () => ({
      connection: new RawConnection(job.port, (error) => this.#done.reject(error)),
      bytes: Buffer.from(TEMPLATES[job.saying].bytes),
    }));
    this.#free = [...this.#lines];
  }

  async run(): Promise<Omit<Outcome, 'id'>> {
    void this.#keepPace();
    await this.#done.promise;
    const tookMs = performance.now() - this.#countedFromMs;
    this.#lines.forEach(({ connection }) => connection.close());
    const sorted = Float64Array.from(this.#latencies).sort();
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? performance.now() - this.#startedMs; // so far behind that nothing of it was sent
    const count = sorted.length;
    const times = { p50Ms: at(0.5), p99Ms: at(0.99), longestMs: at(1), ownLongestMs: this.#ownLongestMs };
    return { count, perSecond: (count * 1000) / tookMs, refused: this.#refused, ...times };
  }

  async #keepPace(): Promise<void> {
    while (!this.#isOver(performance.now())) {
      this.#noteOwnPause(performance.now());
      this.#sendDue();
      await delay(1);
    }
    this.#endWhenAnswered();
  }

  #noteOwnPause(nowMs: number): void {
    if (nowMs >= this.#countedFromMs) {
      this.#ownLongestMs = Math.max(this.#ownLongestMs, nowMs - this.#lookedAtMs);
    }
    this.#lookedAtMs = nowMs;
  }

  #isOver(nowMs: number): boolean {
    const { seconds, from, to } = this.#job;
    return seconds === undefined ? this.#sent >= to - from : nowMs - this.#countedFromMs >= seconds * 1000;
  }

  /** When the next request is due; without a pace, at once. */
  #dueMs(nowMs: number): number {
    const { perSecond } = this.#job;
    return perSecond === undefined ? nowMs : this.#startedMs + (this.#sent * 1000) / perSecond;
  }

  #sendDue(): void {
    for (let nowMs = performance.now(); !this.#isOver(nowMs) && this.#dueMs(nowMs) <= nowMs; nowMs = performance.now()) {
      const line = this.#free.pop();
      if (line === undefined) {
        return;
      }
      const { from, to, saying } = this.#job;
      const dueMs = this.#dueMs(nowMs);
      writeNumber(line.bytes, TEMPLATES[saying].places, from + (this.#sent % (to - from)));
      this.#sent += 1;
      line.connection.send(line.bytes, (status) => this.#settle(line, status, dueMs));
    }
  }

  #settle(line: Line, status: number, dueMs: number): void {
    this.#answered += 1;
    if (dueMs >= this.#countedFromMs) {
      this.#latencies.push(performance.now() - dueMs);
    }
    if (status >= 300) {
      this.#refused[status] = (this.#refused[status] ?? 0) + 1;
    }
    this.#free.push(line);
    this.#sendDue();
    this.#endWhenAnswered();
  }

  #endWhenAnswered(): void {
    if (this.#answered === this.#sent && this.#isOver(performance.now())) {
      this.#done.resolve();
    }
  }
}

/** Opens watches; they stay open as long as this process. */
async function openWatches({ port, from, to, connections }: Job): Promise<Omit<Outcome, 'id'>> {
  let next = from;
  const openSome = async (): Promise<void> => {
    while (next < to) {
      const path = `/api/v1/projects?watch=true&nodeRef=${agentName(next)}`;
      next += 1;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const socket = connect({ port, host: '127.0.0.1' }).on('error', reject);
      socket.on('data', () => resolve()).write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
      await promise;
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: connections }, openSome));
  const count = to - from;
  const perSecond = (count * 1000) / (performance.now() - startedMs);
  return { count, perSecond, refused: {}, p50Ms: Number.NaN, p99Ms: Number.NaN, longestMs: Number.NaN, ownLongestMs: Number.NaN };
}

function isAsking(job: Job): job is Asking {
  return job.saying !== 'watch';
}

async function take(job: Job): Promise<void> {
  const outcome = isAsking(job) ? await new Sender(job).run() : await openWatches(job);
  process.stdout.write(`${JSON.stringify({ ...outcome, id: job.id } satisfies Outcome)}\n`);
}

createInterface({ input: process.stdin })
  .on('line', (line) => void take(JSON.parse(line) as Job))
  .on('close', () => process.exit(0));
