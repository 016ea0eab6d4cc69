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
