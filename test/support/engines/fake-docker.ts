/**
 * A small Docker Engine on a unix socket: keeps containers, networks, volumes and images, emits events, and fails on demand.
 * The real client talks to it, so that the client is under test too. It answers as Docker 20.10 does.
 *
 * Owns     a server, its socket in a folder of its own, and the state; `await using` takes all of it away.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answer } from './fake-docker/routes.ts';
import { FakeExecs } from './fake-docker/execs.ts';
import { FakeDockerState, newId, Refusal, type FakeImage } from './fake-docker/state.ts';

/** Something that goes wrong with the next requests that match. */
export interface Fault {
  /** Method and path without version; `*` stands for one part: `POST /containers/*\/start`. */
  readonly on: string;
  /** How often; default once. */
  readonly times?: number;
  /** Waits for it before doing anything: slow with one that resolves, hung with one that does not. */
  readonly hold?: Promise<void>;
  /** Answers this instead. */
  readonly answer?: { readonly status: number; readonly message: string };
  /** Closes the connection without an answer. */
  readonly isCut?: boolean;
  /** Does what was asked before answering badly: "500, but started". */
  readonly isDoneAnyway?: boolean;
}

export const NO_SPACE: NonNullable<Fault['answer']> = {
  status: 500,
  message: 'mkdir /var/lib/docker/overlay2/8f3a: no space left on device',
};

export interface FakeDockerOptions {
  /** What the engine offers; default 1.41 and 1.12. */
  readonly apiVersion?: string;
  readonly minApiVersion?: string;
}

export type ImageBehaviour = Omit<FakeImage, 'id' | 'repoDigests'>;

export async function startFakeDocker(options: FakeDockerOptions = {}): Promise<FakeDocker> {
  const folder = await mkdtemp(join(tmpdir(), 'fake-docker-'));
  const fake = new FakeDocker(folder, options);
  await fake.start();
  return fake;
}

export class FakeDocker implements AsyncDisposable {
  readonly state = new FakeDockerState();
  readonly execs = new FakeExecs(this.state);
  /** Every request in order, without version and query: `POST /containers/create`. */
  readonly requests: string[] = [];
  readonly #folder: string;
  readonly #options: FakeDockerOptions;
  readonly #eventStreams = new Set<ServerResponse>();
  readonly #upgraded = new Set<Socket>();
  #faults: Fault[] = [];
  #server: http.Server | undefined;

  constructor(folder: string, options: FakeDockerOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  /** As in DOCKER_HOST. */
  get host(): string {
    return `unix://${this.#socketPath}`;
  }

  get #socketPath(): string {
    return join(this.#folder, 'docker.sock');
  }

  /** Streams of events that are open. */
  get eventStreamCount(): number {
    return this.#eventStreams.size;
  }

  /** Puts an image on the engine. @returns its id */
  addImage(reference: string, behaviour: ImageBehaviour = {}): string {
    const id = `sha256:${newId()}`;
    this.state.images.set(reference, { id, repoDigests: [], ...behaviour });
    return id;
  }

  /** Puts an image into the registry, from which it can be pulled; or the words with which a pull fails inside its stream. */
  addRemoteImage(reference: string, behaviour: ImageBehaviour | string = {}): void {
    const name = reference.replace(/[:@][^/]*$/u, '');
    const image =
      typeof behaviour === 'string' ? behaviour : { id: `sha256:${newId()}`, repoDigests: [`${name}@sha256:${newId()}`], ...behaviour };
    this.state.registry.set(reference, image);
  }

  fail(fault: Fault): void {
    this.#faults.push(fault);
  }

  /** Breaks every open stream of events; the engine itself goes on. */
  cutEventStreams(): void {
    for (const stream of this.#eventStreams) {
      stream.destroy();
    }
  }

  /** The engine goes away with all connections; its state stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      this.#upgraded.forEach((socket) => socket.destroy());
      await promise;
    }
  }

  async start(): Promise<void> {
    const server = http.createServer((request, response) => void this.#serve(request, response));
    server.on('upgrade', (request, socket, head) => {
      this.#upgraded.add(socket as Socket);
      socket.once('close', () => this.#upgraded.delete(socket as Socket));
      this.execs.take(request, socket as Socket, head);
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(this.#socketPath, resolve);
    await promise;
    this.#server = server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.execs.end();
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://docker');
    const [, version, path = '/'] = /^(?:\/v(\d+\.\d+))?(\/.*)$/u.exec(url.pathname) ?? [];
    const method = request.method ?? '';
    this.requests.push(`${method} ${path}`);
    const body = await readBody(request);
    const fault = this.#takeFault(method, path);
    await fault?.hold;
    response.setHeader('api-version', this.#apiVersion);
    try {
      const isDone = fault === undefined || fault.isDoneAnyway === true || (fault.answer === undefined && fault.isCut !== true);
      const result = isDone ? this.#answer(method, path, { version, url, body, response }) : undefined;
      if (fault?.isCut === true) {
        request.socket.destroy();
      } else if (fault?.answer !== undefined) {
        send(response, fault.answer.status, { message: fault.answer.message });
      } else if (result !== undefined) {
        send(response, result.status, result.body);
      }
    } catch (error) {
      send(response, error instanceof Refusal ? error.status : 500, { message: error instanceof Error ? error.message : '' });
    }
  }

  #answer(
    method: string,
    path: string,
    { version, url, body, response }: { version: string | undefined; url: URL; body: unknown; response: ServerResponse },
  ): ReturnType<typeof answer> {
    if (version !== undefined && minor(version) > minor(this.#apiVersion)) {
      const limit = `Maximum supported API version is ${this.#apiVersion}`;
      throw new Refusal(400, `client version ${version} is too new. ${limit}`);
    }
    if (version !== undefined && minor(version) < minor(this.#minApiVersion)) {
      throw new Refusal(400, `client version ${version} is too old. Minimum supported API version is ${this.#minApiVersion}`);
    }
    if (path === '/version') {
      return { status: 200, body: this.#version() };
    }
    if (path === '/events') {
      this.#eventStreams.add(response);
      response.on('close', () => this.#eventStreams.delete(response));
    }
    const request = { query: url.searchParams, body, response };
    return this.execs.answer(method, path, request) ?? answer(this.state, method, path, request);
  }

  get #apiVersion(): string {
    return this.#options.apiVersion ?? '1.41';
  }

  get #minApiVersion(): string {
    return this.#options.minApiVersion ?? '1.12';
  }

  #version(): object {
    const api = { ApiVersion: this.#apiVersion, MinAPIVersion: this.#minApiVersion };
    return { Version: '20.10.24-fake', ...api, Os: 'linux', Arch: 'amd64', KernelVersion: '6.1.0' };
  }

  #takeFault(method: string, path: string): Fault | undefined {
    const index = this.#faults.findIndex(({ on }) => matches(on, `${method} ${path}`));
    const fault = this.#faults[index];
    if (fault !== undefined) {
      const times = (fault.times ?? 1) - 1;
      this.#faults = this.#faults.toSpliced(index, 1, ...(times > 0 ? [{ ...fault, times }] : []));
    }
    return fault;
  }
}

function matches(pattern: string, request: string): boolean {
  const [left, right] = [pattern.split('/'), request.split('/')];
  return left.length === right.length && left.every((part, n) => part === '*' || part === right[n]);
}

function minor(version: string): number {
  return Number(version.split('.')[1] ?? 0);
}

/** The parsed body where it is a JSON object, the bytes of an archive. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (request.headers['content-type'] === 'application/x-tar') {
    return bytes;
  }
  const text = bytes.toString('utf8');
  return text.startsWith('{') ? JSON.parse(text) : undefined;
}

/** @param body an object becomes JSON, a string plain text */
function send(response: ServerResponse, status: number, body: unknown): void {
  const isText = typeof body === 'string';
  response.writeHead(status, body === undefined ? {} : { 'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json' });
  response.end(body === undefined ? undefined : isText ? body : JSON.stringify(body));
}
