/**
 * Trust: whether what answers at an https URL is the server that was meant. The one place for everything that dials the server.
 *
 * With a pinned authority, its word alone counts, and plain HTTP is refused. With a fingerprint and no pin, the authority is fetched at
 * the first contact, before anything that is secret is sent, compared, and pinned. With neither, the authorities count that Node and the
 * system know.
 *
 * Owns     the connections that are kept open over TLS.
 * Never    takes another authority by itself: only who changes the fingerprint can want that.
 * Callers  http-fetch.ts, agent/session/dial-tunnel.ts
 */
import type { Agent } from 'node:https';
import type { SecureContext } from 'node:tls';
import { ApiError } from '../api/errors.ts';
import { parseFingerprint } from '../api/fingerprint.ts';
import { abortable } from '../base/abortable.ts';
import { splitPem } from '../base/pem.ts';
import { explainDistrust } from './distrust.ts';
import { fetchAuthorities } from './fetch-authorities.ts';

export interface TrustOptions {
  /** of the authority, as a person was given it: sha256:… */
  readonly fingerprint: string | undefined;
  /** where a person says so, for messages: CA_FINGERPRINT or --ca-fingerprint */
  readonly setting: string;
  /** the pinned authority in PEM; undefined where there is none */
  readonly load: () => Promise<string | undefined>;
  /** Pins another one. */
  readonly save: (certificate: string) => Promise<void>;
}

/** For `request` of node:https. */
export interface TlsRequestOptions {
  readonly agent?: Agent;
  readonly secureContext?: SecureContext;
}

export interface Trust {
  /**
   * What a request to `url` needs. @throws {ApiError} Unavailable where the server shows another authority than the one that was meant, or
   * would be asked over plain HTTP though one is pinned
   */
  optionsFor(url: string, signal: AbortSignal): Promise<TlsRequestOptions>;
  /** Makes a failure that a person can act on of what TLS refused; anything else stays as it is. */
  explain(error: unknown, url: string): unknown;
}

interface Anchors {
  /** undefined: whatever Node and the system know */
  readonly pin: string | undefined;
  readonly options: TlsRequestOptions;
}

export function createTrust(options: TrustOptions): Trust {
  let anchors: Promise<Anchors> | undefined;
  let pinned: string | undefined;

  async function findAnchors(origin: string, signal: AbortSignal): Promise<Anchors> {
    const stored = await options.load();
    const { fingerprint } = options;
    const isMeant = stored !== undefined && (fingerprint === undefined || fingerprintOf(stored) === fingerprint);
    if (isMeant || fingerprint === undefined) {
      return anchor(stored);
    }
    const found = (await fetchAuthorities(origin, signal)).find((certificate) => fingerprintOf(certificate) === fingerprint);
    if (found === undefined) {
      throw new ApiError(
        'Unavailable',
        `Cannot trust the server at ${origin} as it does not have the authority that ${options.setting} names (${fingerprint}): ` +
          `another program may answer there, or its authority was replaced; compare with "cara-server tls show" on the server`,
      );
    }
    await options.save(found);
    return anchor(found);
  }

  function anchor(certificate: string | undefined): Anchors {
    pinned = certificate === undefined ? undefined : fingerprintOf(certificate);
    return { pin: pinned, options: openPool(certificate) };
  }

  return {
    optionsFor: async (url, signal) => {
      const { protocol, origin } = new URL(url);
      if (protocol === 'https:') {
        anchors ??= findAnchors(origin, signal).catch((error: unknown) => {
          anchors = undefined; // whoever asks next tries anew
          throw error;
        });
        return (await abortable(anchors, signal)).options;
      }
      const stored = pinned ?? (await options.load());
      if (stored !== undefined || options.fingerprint !== undefined) {
        throw refusePlain(origin, options.setting);
      }
      return {};
    },
    explain: (error, url) => explainDistrust(error, { origin: new URL(url).origin, pinned, setting: options.setting }),
  };
}

/** What is said of a server that is called over plain HTTP though its authority is known. */
export function refusePlain(origin: string, setting: string): ApiError {
  return new ApiError(
    'Unavailable',
    `Cannot use ${origin} as it is no https:// URL and the authority of the server is known: what is sent would be open to everybody in between, ` +
      `and anybody could answer; write https://, or forget the authority (${setting}) if the server really has no TLS any more`,
  );
}

/** sha256:… of a certificate in PEM; undefined for what is none. */
export function fingerprintOf(certificate: string): string | undefined {
  const [pem = ''] = splitPem(certificate).certificates;
  const der = Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/gu, ''), 'base64');
  return parseFingerprint(process.getBuiltinModule('node:crypto').createHash('sha256').update(der).digest('hex'));
}

function openPool(certificate: string | undefined): TlsRequestOptions {
  const tls = process.getBuiltinModule('node:tls');
  const { Agent } = process.getBuiltinModule('node:https');
  const ca = certificate === undefined ? [...tls.getCACertificates('default'), ...tls.getCACertificates('system')] : [certificate];
  const secureContext = tls.createSecureContext({ ca, minVersion: 'TLSv1.2' });
  return { secureContext, agent: new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 }) }; // as Node's global one
}
