/** Headers of our own, apart from the schemas so that agents and caractrl need not load these. */

/** The answer's header that grants a heartbeat's sender so many milliseconds before the server may count it as silent. */
export const GRANT_HEADER = 'cara-heartbeat-timeout';

/** In the answer to a heartbeat while another machine claims the node's name and is refused: a sentence on it, percent-encoded. */
export const RIVAL_HEADER = 'cara-rival';

/**
 * In the answer to a heartbeat of an agent that may be a copy: it has to prove itself. For so many milliseconds it must start nothing, as
 * the machine that it may be a copy of may still be heard; 0: it may, but what it starts it has to take back should that one be heard.
 */
export const HOLD_HEADER = 'cara-hold';
/** In the answer to a registration: what the server will show the agent's own API from now on. Known to the two of them alone. */
export const AGENT_CREDENTIAL_HEADER = 'cara-agent-credential';

/** Asks an agent's /healthz for a proof that it is the server's agent; base/link-proof.ts. */
export const NONCE_HEADER = 'cara-nonce';

/** The protocol name with which a stream both ways is asked for: bytes as they are, each direction ending by itself. */
export const STREAM_PROTOCOL = 'cara-stream';
