/** The image of examples/hello, built from what is on the machine. */
import { globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { findBusybox } from './busybox.ts';
import { buildImage, type ContextFile } from './image.ts';

const IMAGE_DIR = path.join(import.meta.dirname, '../../examples/hello/image');

export const HELLO_IMAGE = 'caravanserai/hello:1';

export interface HelloImageOptions {
  readonly engineHost: string;
  /** keeps the busybox between runs */
  readonly cacheDir: string;
  /** default `caravanserai/hello:1` */
  readonly tag?: string;
  /** what the greeter says; default the Dockerfile's */
  readonly greeting?: string;
}

/** Builds the image. @returns its id @throws {Error} that says what is missing */
export async function buildHelloImage(options: HelloImageOptions): Promise<string> {
  const busybox = await findBusybox(options.cacheDir);
  const build = {
    engineHost: options.engineHost,
    tag: options.tag ?? HELLO_IMAGE,
    dockerfile: readFileSync(path.join(IMAGE_DIR, 'Dockerfile'), 'utf8'),
    files: { ...scripts(), ...(busybox === undefined ? {} : binaries(busybox)) },
    buildArgs: {
      BASE: busybox === undefined ? 'busybox:1' : 'scratch',
      ...(options.greeting === undefined ? {} : { GREETING: options.greeting }),
    },
  };
  try {
    return await buildImage(build);
  } catch (error) {
    if (busybox !== undefined) {
      throw error;
    }
    const hint =
      'this system has no static busybox (package busybox-static), so the image busybox:1 must be there or a registry within reach';
    throw new Error(`${error instanceof Error ? error.message : String(error)}: ${hint}`, { cause: error });
  }
}

function scripts(): Readonly<Record<string, ContextFile>> {
  const files = globSync('srv/**/*', { cwd: IMAGE_DIR }).filter((name) => statSync(path.join(IMAGE_DIR, name)).isFile());
  // 0o755 whatever the checkout made of the modes: the servers run these
  return Object.fromEntries(files.map((name) => [`rootfs/${name}`, { content: readFileSync(path.join(IMAGE_DIR, name)), mode: 0o755 }]));
}

function binaries(busybox: string): Readonly<Record<string, ContextFile>> {
  return { 'rootfs/bin/busybox': { content: readFileSync(busybox), mode: 0o755 }, 'rootfs/bin/sh': { linkTo: 'busybox' } };
}
