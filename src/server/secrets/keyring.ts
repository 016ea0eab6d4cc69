/**
 * Keyring: the keys that Secrets are encrypted under. The first is for writing; all are for reading, so that a rotation can be
 * interrupted anywhere. Pure but for `newKey`.
 *
 * A key's id follows from the key, so that a value can say which one it needs, and a wrong key is told from the right one without a try.
 * Its text is 32 bytes in base64, one a line: what `openssl rand -base64 32` prints.
 */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';

const KEY_BYTES = 32; // AES-256
const ID_LENGTH = 16; // hex digits

export interface SecretKey {
  /** 16 hex digits */
  readonly id: string;
  /** for values, AES-256-GCM */
  readonly encryption: Buffer;
  /** for fingerprints, HMAC-SHA256 */
  readonly fingerprint: Buffer;
  /** as the key file has it */
  readonly text: string;
}

export interface Keyring {
  /** the one that is written under */
  readonly current: SecretKey;
  /** key id -> key, the current one too */
  readonly byId: ReadonlyMap<string, SecretKey>;
}

/** Makes a key. Its randomness is the system's, never the simulation's: nothing that is decided depends on it. */
export function newKey(): SecretKey {
  return toKey(randomBytes(KEY_BYTES));
}

/** A keyring of these keys, the first being the one for writing. */
export function toKeyring(current: SecretKey, others: readonly SecretKey[] = []): Keyring {
  return { current, byId: new Map([current, ...others].map((key) => [key.id, key])) };
}

/**
 * Reads keys apart by white space or commas; lines that begin with "#" are comments.
 * @throws {RangeError} whose message completes "as ...", and never holds a part of a key
 */
export function parseKeys(text: string): Keyring {
  const words = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(/[\s,]+/u))
    .filter((word) => word !== '');
  const [current, ...others] = words.map((word, index) => {
    const bytes = Buffer.from(word, 'base64');
    if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== word) {
      throw new RangeError(
        `a key must be ${KEY_BYTES} bytes in base64, as "openssl rand -base64 ${KEY_BYTES}" prints them: key ${index + 1} of ${words.length} is not`,
      );
    }
    return toKey(bytes);
  });
  if (current === undefined) {
    throw new RangeError('there is no key in it');
  }
  return toKeyring(current, others);
}

/** The text of a key file. */
export function formatKeys(keys: readonly SecretKey[]): string {
  const comment =
    '# Keys that Secrets are encrypted under; the first is for writing. Without them no backup of the database has its Secrets.';
  return `${[comment, ...keys.map(({ text }) => text)].join('\n')}\n`;
}

function toKey(bytes: Buffer): SecretKey {
  const derive = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', bytes, '', `caravanserai secret ${purpose}`, KEY_BYTES));
  return {
    id: createHmac('sha256', derive('key id')).update('id').digest('hex').slice(0, ID_LENGTH),
    encryption: derive('encryption'),
    fingerprint: derive('fingerprint'),
    text: bytes.toString('base64'),
  };
}
