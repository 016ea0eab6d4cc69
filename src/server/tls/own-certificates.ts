/**
 * Own certificates: what the server shows where nobody gave it anything.
 *
 * Owns     DATA_DIR/tls/server.pem: its key and its certificate, made anew a month before it ends, when the server gets another name or
 *          address, or another authority.
 * Callers  start-tls.ts; tls-keeper.ts has it prepared anew every second.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splitPem } from '../../base/pem.ts';
import { keepPrivate } from '../../base/private-files.ts';
import type { Random } from '../../base/random.ts';
import { publish, readAuthority, write, writeAuthority, type Authority } from './authority-file.ts';
import type { Issued } from './issue.ts';
import type { Issuer } from './issuer.ts';
import { fingerprintOf, type TlsMaterial } from './material.ts';
import { covers, readNames } from './names.ts';

const RENEW_BEFORE_MS = 30 * 86_400_000;

export interface OwnCertificatesDeps {
  /** DATA_DIR/tls */
  readonly folder: string;
  readonly issue: Issuer;
  readonly random: Random;
  /** of several servers one authority is that of all; default: the file's, made where there is none */
  readonly loadAuthority?: (make: () => Promise<Authority>) => Promise<Authority>;
}

export interface OwnRequest {
  readonly names: readonly string[];
  readonly nowMs: number;
}

/** Gets what is there, and makes what is missing. @throws {StartError} when a file cannot be used */
export async function prepareOwn({ names, nowMs }: OwnRequest, deps: OwnCertificatesDeps): Promise<TlsMaterial> {
  const { folder, issue } = deps;
  const make = async (): Promise<Authority> => await makeAuthority(deps, nowMs);
  const authority = await (deps.loadAuthority ?? ((orMake) => loadFromFile(folder, orMake)))(make);
  const found = await readServer(folder);
  if (found !== undefined && isGood(found, authority, { names, nowMs })) {
    return toMaterial(found, authority);
  }
  const issued = await issue({ kind: 'server', authority, names, nowMs });
  await write(folder, 'server.pem', `${issued.key}${issued.certificate}`);
  await publish(folder, authority);
  return toMaterial(issued, authority);
}

export async function makeAuthority({ issue, random }: Pick<OwnCertificatesDeps, 'issue' | 'random'>, nowMs: number): Promise<Authority> {
  return { ...(await issue({ kind: 'authority', id: random.uuid().slice(0, 8), nowMs })), elders: [], crosses: [] };
}

async function loadFromFile(folder: string, make: () => Promise<Authority>): Promise<Authority> {
  const found = await readAuthority(folder);
  if (found !== undefined) {
    return found;
  }
  const made = await make();
  await writeAuthority(folder, made);
  return made;
}

/** @returns undefined for what has to be made anew: nobody pins it */
async function readServer(folder: string): Promise<Issued | undefined> {
  const path = join(folder, 'server.pem');
  try {
    await keepPrivate(path);
    const {
      certificates: [certificate],
      keys: [key],
    } = splitPem(await readFile(path, 'utf8'));
    return certificate === undefined || key === undefined ? undefined : { key, certificate };
  } catch {
    return undefined;
  }
}

function isGood({ certificate }: Issued, authority: Authority, { names, nowMs }: OwnRequest): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    const leftMs = parsed.validToDate.getTime() - nowMs;
    const isOurs = parsed.verify(new X509Certificate(authority.certificate).publicKey);
    return isOurs && leftMs > RENEW_BEFORE_MS && covers(readNames(parsed.subjectAltName), names);
  } catch {
    return false;
  }
}

function toMaterial({ key, certificate }: Issued, authority: Authority): TlsMaterial {
  const parsed = new X509Certificate(certificate);
  return {
    key,
    // crosses before roots: whoever pinned an elder must find the way to it first
    chain: [certificate, ...authority.crosses, authority.certificate].join(''),
    roots: [authority.certificate, ...authority.elders],
    fingerprint: fingerprintOf(new X509Certificate(authority.certificate)),
    expiresAtMs: parsed.validToDate.getTime(),
    names: readNames(parsed.subjectAltName),
  };
}
