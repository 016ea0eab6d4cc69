/**
 * What a credential looks like: `cara_<id>_<secret>`. The id finds the record, the secret proves the right to it; of that only a hash
 * is kept. 256 random bits need no salt and no slow hash: there is nothing to guess.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** First letter of an id: whose record it names. */
export const TOKEN_LETTER = 't';
export const NODE_LETTER = 'n';

const FORM = /^cara_([tn][0-9a-f]{15})_([A-Za-z0-9_-]{43})$/u;
const ID_HEX = 15; // 60 random bits: ids never meet
const SECRET_BYTES = 32;

export interface Credential {
  readonly id: string;
  readonly secret: string;
}

/** Makes one. @returns the text to show once, and what to keep */
export function newCredential(letter: typeof TOKEN_LETTER | typeof NODE_LETTER): {
  readonly text: string;
  readonly id: string;
  readonly hash: string;
} {
  const id = `${letter}${randomBytes(ID_HEX).toString('hex').slice(0, ID_HEX)}`;
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  return { text: `cara_${id}_${secret}`, id, hash: hashSecret(secret) };
}

/** @returns undefined for what is none */
export function parseCredential(text: string): Credential | undefined {
  const [, id, secret] = FORM.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** The form in which secrets are kept: SHA-256 in hex. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}

const NO_HASH = Buffer.alloc(32); // of no secret that anybody knows

/** As much work where there is no record as where there is one, so that the time taken does not tell which ids there are. */
export function isSecretOf(secret: string, kept: Buffer | undefined): boolean {
  const isSame = timingSafeEqual(hash('sha256', secret, 'buffer'), kept ?? NO_HASH);
  return isSame && kept !== undefined;
}
