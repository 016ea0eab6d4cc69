/** The whole command that lets a machine join. Pure. Callers: the server at its first start; caractrl token create. */

export interface JoinWords {
  readonly serverUrl: string;
  readonly token: string;
  readonly node?: string;
  /** of the authority that the server's certificate comes from, so that the first contact is verified */
  readonly caFingerprint?: string | undefined;
}

/** In the environment and not as arguments, which all users of a machine can read. */
export function describeJoin({ serverUrl, token, node, caFingerprint }: JoinWords): string {
  const name = node === undefined ? '' : `NODE_NAME=${node} `;
  const authority = caFingerprint === undefined ? '' : `CA_FINGERPRINT=${caFingerprint} `;
  return `SERVER_URL=${serverUrl} ${authority}${name}JOIN_TOKEN=${token} cara-agent`;
}
