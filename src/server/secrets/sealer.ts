/**
 * Sealer: encrypts and decrypts single values of Secrets, and makes their fingerprints.
 *
 * A sealed value is bound to its place (name and uid of the Secret, key): put anywhere else, it does not open.
 * Source   NIST SP 800-38D (GCM: 96-bit nonces, at random for each value; below 2^32 values a key).
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { Keyring } from './keyring.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FINGERPRINT_LENGTH = 32; // hex digits; 128 bits

/** Where a value belongs. */
export interface Place {
  readonly secret: string;
  readonly uid: string;
  readonly key: string;
}

/** A value as it is stored. */
export interface SealedValue {
  /** bytes of the value */
  readonly size: number;
  /** stays when the value is encrypted anew: what uses it has no reason to notice */
  readonly fingerprint: string;
  readonly keyId: string;
  /** base64: nonce, ciphertext, tag */
  readonly sealed: string;
}

export interface Sealer {
  seal(place: Place, value: Buffer): SealedValue;
  /** @throws {ApiError} Internal when the value was changed, stands elsewhere than where it was sealed, or its key is not there */
  open(place: Place, value: SealedValue): Buffer;
  /** As `open`; undefined where it would throw, for who is about to replace the value. */
  tryOpen(place: Place, value: SealedValue): Buffer | undefined;
  /** The same value under the current key; the very same object where it is so already. @throws as `open` */
  reseal(place: Place, value: SealedValue): SealedValue;
}

export function createSealer({ current, byId }: Keyring): Sealer {
  function encrypt(place: Place, value: Buffer): Pick<SealedValue, 'keyId' | 'sealed'> {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', current.encryption, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(toAad(place));
    const parts = [nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()];
    return { keyId: current.id, sealed: Buffer.concat(parts).toString('base64') };
  }

  function open(place: Place, { keyId, sealed }: SealedValue): Buffer {
    const key = byId.get(keyId);
    if (key === undefined) {
      throw unreadable(place, `the key ${keyId} that it was encrypted under is not there`);
    }
    const bytes = Buffer.from(sealed, 'base64');
    const end = Math.max(NONCE_BYTES, bytes.length - TAG_BYTES);
    try {
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', key.encryption, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(toAad(place));
      decipher.setAuthTag(bytes.subarray(end));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]);
    } catch (cause) {
      throw unreadable(place, 'it was changed since it was encrypted', cause);
    }
  }

  function tryOpen(place: Place, value: SealedValue): Buffer | undefined {
    try {
      return open(place, value);
    } catch {
      return undefined;
    }
  }

  return {
    tryOpen,
    seal: (place, value) => ({
      size: value.length,
      fingerprint: fingerprintOf(current.fingerprint, place, value),
      ...encrypt(place, value),
    }),
    open,
    reseal: (place, value) => (value.keyId === current.id ? value : { ...value, ...encrypt(place, open(place, value)) }),
  };
}

/** One fingerprint of several: equal where the keys and all their fingerprints are. */
export function joinFingerprints(values: readonly { readonly name: string; readonly fingerprint: string }[]): string {
  const pairs = values.map(({ name, fingerprint }) => [name, fingerprint]).toSorted(([left = ''], [right = '']) => (left < right ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(pairs)).digest('hex').slice(0, FINGERPRINT_LENGTH);
}

/**
 * Without the uid: a Secret that is deleted and made anew with the same values is, to what uses it, the same. Keyed, so that who reads
 * fingerprints cannot try passwords against them; with name and key, so that equal values elsewhere do not show.
 */
function fingerprintOf(key: Buffer, { secret, key: name }: Place, value: Buffer): string {
  return createHmac('sha256', key)
    .update(`${JSON.stringify([secret, name])}\0`)
    .update(value)
    .digest()
    .toString('hex', 0, FINGERPRINT_LENGTH / 2); // a slice of the text would keep all of it in memory
}

function toAad({ secret, uid, key }: Place): Buffer {
  return Buffer.from(JSON.stringify(['caravanserai/v1', 'Secret', secret, uid, key]));
}

function unreadable({ secret, key }: Place, why: string, cause?: unknown): ApiError {
  return new ApiError(
    'Internal',
    `Cannot read key ${JSON.stringify(key)} of secret ${JSON.stringify(secret)} as ${why}: write its value anew`,
    {
      cause,
    },
  );
}
