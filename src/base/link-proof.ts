/**
 * How the server makes sure that what answers at a node's address is that node's agent, before it shows the credential: addresses behind
 * NAT, such as 192.168.1.5, are other machines where the server is.
 *
 * Callers  agent/http/access.ts makes proofs, server/tunnel/direct-link.ts checks them.
 */

/** The agent's word on `nonce`, in base64url. */
export function proofOf(credential: string, nonce: string): string {
  const { createHmac } = process.getBuiltinModule('node:crypto');
  return createHmac('sha256', credential).update(`cara-agent ${nonce}`).digest('base64url');
}
