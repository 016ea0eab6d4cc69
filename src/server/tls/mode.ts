/** Whether the server speaks TLS. Pure. */
import { isLoopback } from '../config.ts';

export interface TlsSettings {
  readonly HOST: string;
  readonly TLS: 'auto' | 'on' | 'off';
  readonly TLS_CERT: string | undefined;
  readonly TLS_KEY: string | undefined;
}

/** `given`: with files that somebody else keeps; `own`: with an authority of its own; undefined: not at all. */
export function tlsModeOf({ HOST, TLS, TLS_CERT, TLS_KEY }: TlsSettings): 'given' | 'own' | undefined {
  if (TLS === 'off') {
    return undefined;
  }
  if (TLS_CERT !== undefined || TLS_KEY !== undefined) {
    return 'given';
  }
  return TLS === 'on' || !isLoopback(HOST) ? 'own' : undefined;
}
