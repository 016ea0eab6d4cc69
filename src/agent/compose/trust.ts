/**
 * What this agent believes of its server.
 *
 * Owns     DATA_DIR/authority.pem: the server's authority, pinned at the first contact.
 * Callers  ../composition.ts
 */
import { join } from 'node:path';
import { ApiError } from '../../api/errors.ts';
import { explainFileError } from '../../base/file-error.ts';
import { StartError } from '../../base/program.ts';
import { splitServerUrls } from '../../client/server-choice.ts';
import { createTrust, fingerprintOf, refusePlain, type Trust } from '../../client/trust.ts';
import { unusable } from '../identity.ts';
import type { Parts } from './ports.ts';

const SETTING = 'CA_FINGERPRINT';

/** @throws {StartError} for a server that is to be called over plain HTTP though its authority is known */
export async function openTrust({ config, disk, log }: Pick<Parts, 'config' | 'disk' | 'log'>): Promise<Trust> {
  const path = join(config.DATA_DIR, 'authority.pem');
  let pinned: string | undefined;
  try {
    pinned = await disk.readText(path);
  } catch (error) {
    throw unusable(path, error);
  }
  if (pinned !== undefined && fingerprintOf(pinned) === undefined) {
    throw new StartError(`Cannot use ${path} as it holds no certificate: remove it and set ${SETTING}`);
  }
  const plain = splitServerUrls(config.SERVER_URL).find((url) => !url.startsWith('https:'));
  if (plain !== undefined && (pinned !== undefined || config.CA_FINGERPRINT !== undefined)) {
    throw new StartError(refusePlain(plain, pinned === undefined ? SETTING : path).message);
  }
  return createTrust({
    fingerprint: config.CA_FINGERPRINT,
    setting: SETTING,
    load: () => Promise.resolve(pinned),
    save: async (certificate) => {
      try {
        await disk.writeText(path, certificate);
      } catch (error) {
        throw new ApiError('Unavailable', `Cannot pin the authority of the server in ${path} as ${explainFileError(error)}`, {
          cause: error,
        });
      }
      const event =
        pinned === undefined ? 'authority of the server pinned' : 'another authority of the server pinned, as its fingerprint was given';
      pinned = certificate;
      log.info({ authority: fingerprintOf(certificate), path }, event);
    },
  });
}
