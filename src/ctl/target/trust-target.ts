/**
 * What caractrl believes of a server: the authority whose fingerprint the context or a flag has.
 *
 * Owns     authorities/DIGITS.pem beside the config file: the certificates of fingerprints, so that only the first command asks for one.
 *          Their names say what is in them; where one cannot be written, the next command asks again.
 * Callers  main.ts
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../base/atomic-file.ts';
import { makeDataDir } from '../../base/data-dir.ts';
import { createTrust, fingerprintOf, type Trust } from '../../client/trust.ts';
import type { Environment } from '../io.ts';
import type { Target } from './target.ts';

export function trustTarget({ caFingerprint }: Target, env: Environment): Trust {
  const folder = authoritiesFolder(env);
  const path =
    folder === undefined || caFingerprint === undefined ? undefined : join(folder, `${caFingerprint.replace('sha256:', '')}.pem`);
  return createTrust({
    fingerprint: caFingerprint,
    setting: '--ca-fingerprint',
    load: async () => {
      const certificate = path === undefined ? undefined : await readFile(path, 'utf8').catch(() => undefined);
      return certificate !== undefined && fingerprintOf(certificate) === caFingerprint ? certificate : undefined;
    },
    save: async (certificate) => {
      if (folder !== undefined && path !== undefined) {
        await makeDataDir(folder)
          .then(() => writeFileAtomically(path, certificate))
          .catch(() => undefined); // see above
      }
    },
  });
}

function authoritiesFolder(env: Environment): string | undefined {
  const base = env['XDG_CONFIG_HOME'] || (env['HOME'] === undefined ? '' : join(env['HOME'], '.config'));
  return base === '' ? undefined : join(base, 'caravanserai', 'authorities');
}
