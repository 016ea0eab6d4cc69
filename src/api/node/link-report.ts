/** How the server reaches a node's agent. No schema in here: the CLI loads it. */

export const LINK_PATHS = ['direct', 'tunnel', 'none'] as const;

export interface LinkReport {
  /** direct: the node's address is dialled; tunnel: the connection that its agent keeps open */
  readonly path: (typeof LINK_PATHS)[number];
  /** measured just now */
  readonly roundTripMs?: number;
  /** dialled directly, or tried to be, such as 100.64.0.5:9090 */
  readonly address?: string;
  /** why there is no direct way, or none at all */
  readonly detail?: string;
}
