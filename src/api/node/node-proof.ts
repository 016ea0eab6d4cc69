/** How a node's agent proves that it is the one that joined: it signs what the server asks. Apart from the schemas, as agents need it without them. */

export interface ProofParts {
  readonly clusterId: string;
  readonly node: string;
  readonly challenge: string;
}

/**
 * What is signed, with the node's Ed25519 key. It names cluster and node, so that what one server gets signed is worth nothing to another
 * cluster, or for another node; the challenge is worth one credential.
 */
export function proofText({ clusterId, node, challenge }: ProofParts): string {
  return `caravanserai node credential v1\n${clusterId}\n${node}\n${challenge}`;
}

/** Answer to `POST /nodes/{name}/challenge`. */
export interface NodeChallenge {
  readonly clusterId: string;
  readonly challenge: string;
}

/** Answer to `POST /nodes/{name}/credential`. */
export interface NewNodeCredential {
  readonly token: string;
  /** ms from its making */
  readonly lastsMs: number;
}
