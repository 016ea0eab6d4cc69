/** The parts that reach nodes, put together and started. Callers: composition.ts. */
import { networkInterfaces } from 'node:os';
import type { NodeObject } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Stopper } from '../../base/stopper.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Sealer } from '../secrets/sealer.ts';
import { createAgentCredentials, type AgentCredentials } from './agent-credentials.ts';
import { mayDialInClear } from './clear-path.ts';
import { createNodeLinks, type NodeLinks } from './node-links.ts';
import { TunnelRegistry } from './tunnel-registry.ts';

export interface LinksDeps {
  readonly store: Store;
  readonly sealer: Sealer;
  /** whether the server itself speaks plain HTTP to other machines */
  readonly isNetworkTrusted: boolean;
  readonly registry: NodeRegistry;
  readonly nodes: Mirror<NodeObject>;
  readonly stopper: Stopper;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface LinkParts {
  readonly credentials: AgentCredentials;
  readonly tunnels: TunnelRegistry;
  readonly links: NodeLinks;
}

export function startLinks({ registry, nodes, stopper, isNetworkTrusted, ...base }: LinksDeps): LinkParts {
  const credentials = createAgentCredentials(base);
  const tunnels = new TunnelRegistry({ clock: base.clock, log: base.log.child({ component: 'tunnels' }) });
  nodes.onChange((change) => {
    if (change.type === 'DELETED') {
      tunnels.drop(change.object.metadata.name); // its credential went with it
    }
  });
  const findNode = (name: string): NodeObject | undefined => {
    const node = registry.find(name);
    return node && registry.view.withPresence(node);
  };
  const links = createNodeLinks({
    ...base,
    findNode,
    tunnels,
    credentials,
    mayDialInClear: (host) => mayDialInClear(host, { isNetworkTrusted, ownAddresses: listOwnAddresses() }),
    spawn: (name, loop) => stopper.spawn(name, loop),
  });
  stopper.spawn('tunnels', (signal) => tunnels.run(signal));
  return { credentials, tunnels, links };
}

function listOwnAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
}
