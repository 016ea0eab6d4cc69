/** The whole command that lets a machine join. Pure. Callers: the server at its first start; caractrl token create. */

export interface JoinWords {
  readonly serverUrl: string;
  readonly token: string;
  readonly node?: string;
}

/** In the environment and not as arguments, which all users of a machine can read. */
export function describeJoin({ serverUrl, token, node }: JoinWords): string {
  const name = node === undefined ? '' : `NODE_NAME=${node} `;
  return `SERVER_URL=${serverUrl} ${name}JOIN_TOKEN=${token} cara-agent`;
}
