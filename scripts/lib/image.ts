/** Builds images from files at hand: no registry, no docker command line, only the engine's own builder and the system's tar. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { callEngine } from './engine-http.ts';

/** A file of the build context: its content, or where a symbolic link points. */
export type ContextFile = { readonly content: string | Uint8Array; readonly mode?: number } | { readonly linkTo: string };

export interface BuildOptions {
  readonly engineHost: string;
  /** name:tag */
  readonly tag: string;
  readonly dockerfile: string;
  /** path in the context -> file */
  readonly files: Readonly<Record<string, ContextFile>>;
  readonly buildArgs?: Readonly<Record<string, string>>;
}

const BUILD_TIMEOUT_MS = 5 * 60_000;
// fixed order, times, owners and modes; GNU tar's options, which macOS has not
const TAR_OPTIONS = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u+rwX,go+rX,go-w'];

/**
 * Builds an image; the same files on the same engine give the same id (the engine's cache goes by content, and mtimes and owners
 * are fixed).
 * @returns its id, sha256:…
 * @throws {Error} with the builder's own message
 */
export async function buildImage(options: BuildOptions): Promise<string> {
  const context = mkdtempSync(path.join(tmpdir(), 'cara-build-'));
  try {
    writeContext(context, { Dockerfile: { content: options.dockerfile }, ...options.files });
    return await build(options, context);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

function writeContext(root: string, files: Readonly<Record<string, ContextFile>>): void {
  for (const [name, file] of Object.entries(files)) {
    const target = path.join(root, name);
    mkdirSync(path.dirname(target), { recursive: true });
    if ('linkTo' in file) {
      symlinkSync(file.linkTo, target);
    } else {
      writeFileSync(target, file.content, { mode: file.mode ?? 0o644 });
    }
  }
}

async function build({ engineHost, tag, buildArgs }: BuildOptions, context: string): Promise<string> {
  const query = new URLSearchParams({ t: tag, rm: '1', forcerm: '1', buildargs: JSON.stringify(buildArgs ?? {}) });
  const tar = spawn('tar', ['-c', ...(process.platform === 'linux' ? TAR_OPTIONS : []), '.'], {
    cwd: context,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const tarFailed = new Promise<never>((_, reject) => {
    tar.on('error', (error) => reject(new Error(`Cannot build image ${tag} as tar cannot be run: ${error.message}`)));
  });
  const complaint = text(tar.stderr);
  const answer = callEngine({
    host: engineHost,
    method: 'POST',
    path: `/build?${query.toString()}`,
    headers: { 'content-type': 'application/x-tar' },
    body: tar.stdout,
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  const { status, text: body } = await Promise.race([answer, tarFailed]);
  const id = status === 200 ? builtId(body) : undefined;
  if (id === undefined) {
    const cause = buildError(body) ?? (await complaint).trim();
    throw new Error(`Cannot build image ${tag}: ${cause === '' ? `status ${status}` : cause}`);
  }
  return id;
}

/** The id in the builder's stream of JSON lines; undefined when it failed. */
export function builtId(stream: string): string | undefined {
  const aux = jsonLines(stream).findLast((line) => 'aux' in line)?.['aux'];
  const id = typeof aux === 'object' && aux !== null && 'ID' in aux ? aux.ID : undefined;
  return buildError(stream) === undefined && typeof id === 'string' ? id : undefined;
}

/** The builder's error: a line of the stream, as failures come after status 200, or the answer's message. */
export function buildError(stream: string): string | undefined {
  const found = jsonLines(stream).find((line) => 'error' in line || 'message' in line);
  const message = found?.['error'] ?? found?.['message'];
  return typeof message === 'string' ? message : undefined;
}

function jsonLines(stream: string): readonly Readonly<Record<string, unknown>>[] {
  return stream.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null ? [value as Readonly<Record<string, unknown>>] : [];
    } catch {
      return []; // an empty line, or one that is not JSON
    }
  });
}
