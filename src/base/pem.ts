/** PEM: several keys and certificates in one text. Source: RFC 7468 */

export interface PemParts {
  /** each whole, with its lines of begin and end, in order */
  readonly certificates: readonly string[];
  readonly keys: readonly string[];
}

export function splitPem(text: string): PemParts {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----[A-Za-z0-9+/=\s]{1,65536}-----END \1-----/gu)];
  const of = (isWanted: (label: string) => boolean): readonly string[] =>
    blocks.filter(([, label]) => isWanted(label ?? '')).map(([block]) => `${block}\n`);
  return { certificates: of((label) => label === 'CERTIFICATE'), keys: of((label) => label.endsWith('PRIVATE KEY')) };
}
