/** `cara-server tls show` and `cara-server tls rotate`: may be run while the server runs, which takes up what they change within seconds. */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { StartError, type Task } from '../../base/program.ts';
import { systemRandom } from '../../base/random.ts';
import { databaseUrlOf, isPostgresUrl, type ServerConfig, type ServerSettings } from '../config.ts';
import { openOwnStore } from '../own-store.ts';
import { openSealer } from '../secrets/start-secrets.ts';
import { readAuthority, tlsFolder, writeAuthority, type Authority } from './authority-file.ts';
import { readGiven } from './given-certificate.ts';
import { issueInThread } from './issuer.ts';
import { fingerprintOf } from './material.ts';
import { tlsModeOf } from './mode.ts';
import { makeAuthority } from './own-certificates.ts';
import { findSharedRecord, share } from './shared-authority.ts';

export const TLS_COMMAND = 'tls';
export const DISTRUST_FLAG = '--distrust-old';

/** @param action what stands after "cara-server tls" */
export function createTlsTask(settings: ServerSettings, action: string | undefined, old: 'vouch' | 'distrust'): Task<ServerSettings> {
  return {
    name: `cara-server ${TLS_COMMAND} show|rotate`,
    summary:
      'show prints the fingerprint of the authority that agents and caractrl are given. rotate makes another authority, for which the old one vouches, ' +
      `so that nobody notices; with ${DISTRUST_FLAG}, for when its key was stolen, every agent and every context needs the new fingerprint.`,
    settings,
    run: async (config) => {
      if (action === 'show') {
        return await show(config);
      }
      if (action === 'rotate') {
        return await rotate(config, old);
      }
      throw new StartError(
        `Cannot run cara-server tls${action === undefined ? '' : ` ${action}`} as it takes show or rotate: cara-server tls --help`,
      );
    },
  };
}

async function show(config: ServerConfig): Promise<string> {
  if (tlsModeOf(config) === 'given') {
    const { fingerprint, names, expiresAtMs } = await readGiven(config, systemClock.wallMs());
    const authority =
      fingerprint === undefined ? 'one that this file does not have; clients need no fingerprint where they know it' : fingerprint;
    return `Authority:   ${authority}\nNames:       ${names.join(', ')}\nExpires:     ${new Date(expiresAtMs).toISOString()}\n`;
  }
  const folder = tlsFolder(config.DATA_DIR);
  const { certificate, elders } = await requireAuthority(folder);
  const parsed = new X509Certificate(certificate);
  return [
    `Authority:   ${fingerprintOf(parsed)}`,
    `Expires:     ${parsed.validToDate.toISOString()}`,
    ...elders.map((elder) => `Elder:       ${fingerprintOf(new X509Certificate(elder))} (vouches for it)`),
    `Certificate: ${join(folder, 'ca.pem')}, for curl --cacert and browsers`,
    '',
  ].join('\n');
}

async function rotate(config: ServerConfig, old: 'vouch' | 'distrust'): Promise<string> {
  const folder = tlsFolder(config.DATA_DIR);
  const elder = await requireAuthority(folder);
  const made = await makeAuthority({ issue: issueInThread, random: systemRandom }, systemClock.wallMs());
  const next = old === 'distrust' ? made : await succeed(elder, made);
  if (isPostgresUrl(databaseUrlOf(config))) {
    await shareWithAll(config, next);
  }
  await writeAuthority(folder, next);
  const fingerprint = fingerprintOf(new X509Certificate(next.certificate));
  return old === 'distrust'
    ? `The authority is now ${fingerprint}. Servers show it within seconds, and agents and contexts that pinned the old one are locked out:\n` +
        `  on each worker:  start cara-agent with CA_FINGERPRINT=${fingerprint}\n  on each laptop:  caractrl login SERVER --ca-fingerprint ${fingerprint}\n`
    : `The authority is now ${fingerprint}. Servers show it within seconds. Whoever pinned the old one goes on: it vouches for the new one.\n`;
}

/** `elder` vouches for `made`, and those before it as they did. */
async function succeed(elder: Authority, made: Authority): Promise<Authority> {
  const { certificate: cross } = await issueInThread({ kind: 'cross', authority: made, elder });
  return { ...made, elders: [elder.certificate, ...elder.elders], crosses: [cross, ...elder.crosses] };
}

async function requireAuthority(folder: string): Promise<Authority> {
  const found = await readAuthority(folder);
  if (found === undefined) {
    throw new StartError(
      `Cannot find an authority in ${folder}: it is made when the server first starts with TLS; DATA_DIR may be another one`,
    );
  }
  return found;
}

async function shareWithAll(config: ServerConfig, authority: Authority): Promise<void> {
  const log = createLogger('cara-server', { level: 'warn', format: config.LOG_FORMAT });
  const store = await openOwnStore({ config, clock: systemClock, log });
  try {
    const base = { store, clock: systemClock, random: systemRandom, log };
    const sealer = await openSealer(config, { ...base, isShared: true });
    await share(authority, await findSharedRecord(store), { ...base, sealer });
  } finally {
    await store.close();
  }
}
