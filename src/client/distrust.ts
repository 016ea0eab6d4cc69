/** Why TLS refused a server, in words. Pure. */
import { ApiError } from '../api/errors.ts';

export interface DistrustContext {
  readonly origin: string;
  /** fingerprint of the pinned authority; undefined: there is none */
  readonly pinned: string | undefined;
  /** where a person says which authority it is */
  readonly setting: string;
}

const OTHER_AUTHORITY: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
]);

const CODES: ReadonlySet<string> = new Set([...OTHER_AUTHORITY, 'ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED']);

/** Tells whether a server did answer, and TLS refused it. */
export function isDistrust({ cause }: ApiError): boolean {
  return cause instanceof Error && 'code' in cause && CODES.has(String(cause.code));
}

/** @returns the error itself where TLS has nothing to do with it */
export function explainDistrust(error: unknown, { origin, pinned, setting }: DistrustContext): unknown {
  const { code, message } = (error instanceof Error ? error : {}) as { readonly code?: string; readonly message?: string };
  const refuse = (why: string): ApiError => new ApiError('Unavailable', `Cannot trust the server at ${origin} as ${why}`, { cause: error });
  if (OTHER_AUTHORITY.has(code ?? '')) {
    return refuse(
      pinned === undefined
        ? `its certificate comes from an authority that this machine does not know: take the fingerprint from "cara-server tls show" on the server, and give it as ${setting}`
        : `its certificate does not come from the authority that was pinned (${pinned}): something else answers at this address, or the authority of the server was replaced; ` +
            `if it was, give ${setting} the new fingerprint, which "cara-server tls show" prints there`,
    );
  }
  switch (code ?? '') {
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = /altnames: (.+)$/u.exec(message ?? '')?.[1] ?? 'other names';
      const name = new URL(origin).hostname;
      return refuse(
        `its certificate is for ${names.slice(0, 500)} and not for ${name}: call it by one of these, or start cara-server with ALLOWED_HOSTS=${name}`,
      );
    }
    case 'CERT_NOT_YET_VALID':
      return refuse('its certificate is not valid yet by the clock of this machine: set the clock');
    case 'CERT_HAS_EXPIRED':
      return refuse('its certificate has expired, or the clock of this machine is ahead: renew the one, or set the other');
    default:
      return error;
  }
}
