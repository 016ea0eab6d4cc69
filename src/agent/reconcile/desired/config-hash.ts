/**
 * Config hash: a digest of what a container was asked to be. It stands on the container as a label, and tells after any
 * restart of the agent whether the container is still what the spec asks for.
 *
 * It covers what the spec says, not what every container gets: a default that a later agent adds to all containers must stay
 * out of it, or updating the agent would replace every container of the fleet.
 */
import { createHash } from 'node:crypto';
import type { ContainerSpec } from '../../docker/docker-types.ts';
import type { ServiceInputs } from './service-inputs.ts';
import type { ServiceNames } from './service-options.ts';

const HASH_LENGTH = 32; // hex digits; 128 bits

/** Labels and network name whose container it is, not what it is, but for `names`; the order of ports and of mounts means nothing. */
export function configHash(
  { labels: _labels, network: _network, ports, mounts, ...rest }: ContainerSpec,
  inputs?: ServiceInputs,
  { names, restartedAt }: { readonly names?: ServiceNames | undefined; readonly restartedAt?: string | undefined } = {},
): string {
  const text = canonicalJson({ ...rest, ports: sorted(ports), mounts: sorted(mounts), inputs, names, restartedAt });
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_LENGTH);
}

function sorted(values: readonly unknown[] | undefined): readonly string[] | undefined {
  return values === undefined || values.length === 0 ? undefined : values.map(canonicalJson).toSorted();
}

/** JSON with keys in order and without undefined fields: equal values give equal text, however they were put together. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
