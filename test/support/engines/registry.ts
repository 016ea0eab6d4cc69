/**
 * A small image registry (v2) on 127.0.0.1, from which a real engine pulls: engines take 127.0.0.0/8 for insecure registries, so
 * plain HTTP will do.
 *
 * Owns     images in memory; who may pull; what is refused next; every request, for tests to count.
 * Source   https://github.com/opencontainers/distribution-spec
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { toTar, type TarFile } from '../../../src/agent/docker/tar.ts';

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly scheme: 'Basic' | 'Bearer';
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export class TestRegistry implements AsyncDisposable {
  readonly #server: Server;
  /** digest -> bytes */
  readonly #blobs = new Map<string, Buffer>();
  /** `repository:tag` or `repository@digest` -> manifest */
  readonly #manifests = new Map<string, string>();
  /** `GET /v2/…` of each request, as they came */
  readonly requests: string[] = [];
  /** asked of everybody; undefined: of nobody */
  credentials: Credentials | undefined;
  /** what every manifest is answered with */
  refusal: Refusal | undefined;
  /** while set, only half of each blob is sent */
  #held: PromiseWithResolvers<void> | undefined;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  /** @param port default: a free one */
  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => {
      this.#server.listen(port, '127.0.0.1', resolve);
    });
    return this;
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Stops every download half-way. @returns what lets them go on */
  hold(): () => void {
    const held = Promise.withResolvers<void>();
    this.#held = held;
    return () => {
      this.#held = undefined;
      held.resolve();
    };
  }

  /** How often a manifest of it was asked for. */
  pulls(repository: string): number {
    return this.requests.filter((line) => line.includes(`/v2/${repository}/manifests/`) && line.startsWith('GET')).length;
  }

  /** Puts an image of one layer there. @returns its digest */
  push(repository: string, tag: string, { files, command }: { files: readonly TarFile[]; command: readonly string[] }): string {
    const tar = toTar(files);
    const layer = gzipSync(tar, { level: 1 });
    const config = Buffer.from(
      JSON.stringify({
        architecture: ARCHITECTURES[process.arch] ?? process.arch,
        os: 'linux',
        config: { Cmd: command, Env: ['PATH=/bin'] },
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
      }),
    );
    const blobs = [config, layer].map((bytes) => ({ bytes, digest: digestOf(bytes), size: bytes.length }));
    blobs.forEach(({ digest, bytes }) => this.#blobs.set(digest, bytes));
    const [first, second] = blobs.map(({ digest, size }) => ({ digest, size }));
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: CONFIG, ...first },
      layers: [{ mediaType: LAYER, ...second }],
    });
    const digest = digestOf(Buffer.from(manifest));
    this.#manifests.set(`${repository}:${tag}`, manifest).set(`${repository}:${digest}`, manifest);
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', `http://${this.host}`);
    this.requests.push(`${request.method} ${url.pathname}`);
    if (url.pathname === '/token') {
      this.#giveToken(request, response);
    } else if (!this.#isAdmitted(request)) {
      const challenge =
        this.credentials?.scheme === 'Bearer' ? `Bearer realm="http://${this.host}/token",service="test"` : 'Basic realm="test"';
      refuse(response, { status: 401, code: 'UNAUTHORIZED', message: 'authentication required' }, { 'www-authenticate': challenge });
    } else {
      this.#serve(url.pathname, request.method === 'HEAD', response);
    }
  }

  #giveToken(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.authorization !== basicOf(this.credentials)) {
      refuse(response, { status: 401, code: 'UNAUTHORIZED', message: 'incorrect username or password' });
      return;
    }
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ token: this.#token() }));
  }

  #token(): string {
    return digestOf(Buffer.from(JSON.stringify(this.credentials)));
  }

  #isAdmitted({ headers }: IncomingMessage): boolean {
    switch (this.credentials?.scheme) {
      case undefined:
        return true;
      case 'Basic':
        return headers.authorization === basicOf(this.credentials);
      case 'Bearer':
        return headers.authorization === `Bearer ${this.#token()}`;
    }
  }

  #serve(path: string, isHead: boolean, response: ServerResponse): void {
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    const [, repository = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/u.exec(path) ?? [];
    if (kind === undefined) {
      response.end('{}');
      return;
    }
    if (kind === 'manifests' && this.refusal !== undefined) {
      refuse(response, this.refusal);
      return;
    }
    const manifest = kind === 'manifests' ? this.#manifests.get(`${repository}:${reference}`) : undefined;
    const bytes = kind === 'blobs' ? this.#blobs.get(reference) : manifest === undefined ? undefined : Buffer.from(manifest);
    if (bytes === undefined) {
      refuse(response, { status: 404, code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' });
      return;
    }
    response.setHeader('content-type', kind === 'blobs' ? 'application/octet-stream' : MANIFEST);
    response.setHeader('content-length', bytes.length).setHeader('docker-content-digest', digestOf(bytes));
    const held = kind === 'blobs' && !isHead ? this.#held : undefined;
    if (held !== undefined) {
      const middle = Math.floor(bytes.length / 2);
      response.write(bytes.subarray(0, middle));
      void held.promise.then(() => response.end(bytes.subarray(middle)));
    } else if (isHead) {
      response.end();
    } else {
      response.end(bytes);
    }
  }
}

function refuse(response: ServerResponse, { status, code, message }: Refusal, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function basicOf(credentials: Credentials | undefined): string {
  return `Basic ${Buffer.from(`${credentials?.username}:${credentials?.password}`).toString('base64')}`;
}

function digestOf(bytes: Buffer | Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
