/**
 * Identity: who this agent is to the server, whatever its node is called.
 *
 * Owns     DATA_DIR/identity.json: an id made at the first start, the cluster that it last joined, and the machine that it was last
 *          proven to be on (machine.ts). Without the cluster the agent could not tell its own containers from others' while the
 *          server is away.
 * Never    makes a new identity where an old one cannot be read: the server would take the machine for another one.
 * Callers  main.ts loads it; compose/link.ts sends it with registrations and heartbeats, and remembers the cluster.
 */
import { join } from 'node:path';
import type { Registration } from '../api/node.ts';
import type { Disk } from '../base/disk.ts';
import { explainFileError } from '../base/file-error.ts';
import { StartError } from '../base/program.ts';
import type { Random } from '../base/random.ts';
import { nameMachine } from './machine.ts';

export interface Identity {
  readonly id: string;
  /** made anew at each start of the agent */
  readonly bootId: string;
  /** see machine.ts; undefined: not known */
  readonly machine: string | undefined;
  /** whether the folder was last used on another machine: this is it after a boot, or a copy of it */
  isUnproven(): boolean;
  /** Takes down that there is no other. Resolves when it is on disk. */
  prove(): Promise<void>;
  /** of the control plane that it last joined; undefined before the first time */
  clusterId(): string | undefined;
  /** Resolves when it is on disk. */
  rememberCluster(clusterId: string): Promise<void>;
}

/** What is said of it to the server. */
export function describeIdentity(
  identity: Pick<Identity, 'id' | 'bootId' | 'machine' | 'isUnproven'>,
): NonNullable<Registration['identity']> {
  const { id, bootId, machine } = identity;
  return { id, bootId, ...(machine !== undefined && { machine }), ...(identity.isUnproven() && { unproven: true }) };
}

interface Stored {
  readonly id: string;
  readonly clusterId?: string;
  readonly machine?: string;
}

export interface LoadIdentityOptions {
  readonly disk: Disk;
  readonly random: Random;
  /** names this boot of the machine; undefined: not known */
  readonly osBootId: string | undefined;
}

/** Reads the identity, or makes it at the first start. @throws {StartError} when the folder or the file cannot be used */
export async function loadIdentity(dataDir: string, { disk, random, osBootId }: LoadIdentityOptions): Promise<Identity> {
  const path = join(dataDir, 'identity.json');
  const before = await read(disk, path);
  const id = before?.id ?? random.uuid();
  const machine = nameMachine(dataDir, { bootId: osBootId, id });
  let stored = before ?? (await write(disk, path, { id, ...(machine !== undefined && { machine }) }));
  const isUnproven = (): boolean => machine !== undefined && stored.machine !== machine;
  return {
    id,
    bootId: random.uuid(),
    machine,
    isUnproven,
    prove: async () => {
      if (machine !== undefined && isUnproven()) {
        stored = await write(disk, path, { ...stored, machine });
      }
    },
    clusterId: () => stored.clusterId,
    rememberCluster: async (clusterId) => {
      if (stored.clusterId !== clusterId) {
        stored = await write(disk, path, { ...stored, clusterId });
      }
    },
  };
}

async function read(disk: Disk, path: string): Promise<Stored | undefined> {
  let content: string | undefined;
  try {
    content = await disk.readText(path);
  } catch (error) {
    throw unusable(path, error);
  }
  if (content === undefined) {
    return undefined;
  }
  const stored = parse(content);
  if (stored === undefined) {
    throw new StartError(
      `Cannot read identity file ${path} as it holds no identity: restore it from a backup, or remove it to let this machine join as a new one`,
    );
  }
  return stored;
}

function parse(content: string): Stored | undefined {
  try {
    const { id, clusterId, machine } = JSON.parse(content) as Partial<Record<keyof Stored, unknown>>;
    if (typeof id === 'string' && id.length >= 8 && (clusterId === undefined || typeof clusterId === 'string')) {
      return { id, ...(clusterId !== undefined && { clusterId }), ...(typeof machine === 'string' && { machine }) };
    }
  } catch {
    // no JSON, or no object
  }
  return undefined;
}

async function write(disk: Disk, path: string, stored: Stored): Promise<Stored> {
  try {
    await disk.writeText(path, `${JSON.stringify(stored)}\n`);
  } catch (error) {
    throw unusable(path, error);
  }
  return stored;
}

/** What is said of a path that cannot be used. */
export function unusable(path: string, error: unknown): StartError {
  return new StartError(`Cannot use ${path} as ${explainFileError(error)}: set DATA_DIR to a folder that this user can write`, {
    cause: error,
  });
}
