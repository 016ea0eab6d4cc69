/** Headers by which a server says what it hands on to the leader. Read in cluster/forward.ts alone. */

/** Says that a server of this cluster has forwarded it: the cluster's key. */
export const FORWARD_KEY_HEADER = 'cara-forward-key';
