/** Puts the parts of nodes/ together: mirror -> registry -> lifecycle and service. Callers: composition.ts. */
import type { NodeObject } from '../../api/node.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ServerMetrics } from '../../base/metrics.ts';
import type { Random } from '../../base/random.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Mirror } from '../../store/mirror.ts';
import type { Store, Write } from '../../store/store.ts';
import { SOLE_SEAT, type Seat, type Spawner } from '../cluster/seat.ts';
import { FenceLedger } from './fence-ledger.ts';
import { takeOverTimeout, type EarlierTimeout } from './granted-timeout.ts';
import { createGranteeSettler } from './grantee-settler.ts';
import { recallHeard, saveHeard } from './heard-record.ts';
import { granteeOfRecord, holdingOf, IDENTITY_KIND, type IdentityRecord } from './identity-record.ts';
import { createNodeLifecycle } from './node-lifecycle.ts';
import { NodeRegistry } from './node-registry.ts';
import { createNodeService, type NodeService } from './node-service.ts';
import { TOMBSTONE_KIND } from './tombstones.ts';

export interface StartNodesDeps {
  readonly store: Store;
  /** not yet running */
  readonly nodes: Mirror<NodeObject>;
  readonly stopper: Spawner;
  /** for what only a leader does; default: `stopper` */
  readonly lead?: Spawner;
  /** default: the only one */
  readonly seat?: Seat;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ServerMetrics;
  readonly heartbeatTimeoutMs: number;
  /** as NodeServiceDeps */
  readonly writesOfDeletion?: (name: string, forgotten: readonly string[]) => Promise<readonly Write[]>;
  /** as FenceLedgerOptions */
  readonly longestAfterMs: (node: string) => number;
}

export interface StartedNodes {
  readonly registry: NodeRegistry;
  readonly service: NodeService;
  /** To be called once nothing beats any more: writes down when each node was last heard. Never rejects. */
  readonly save: () => Promise<void>;
}

/** When this resolves, the registry knows every node and every tombstone, and each node that was heard has one full lease. */
export async function startNodes(deps: StartNodesDeps): Promise<StartedNodes> {
  const { store, nodes, stopper, lead = stopper, clock, metrics } = deps;
  const log = deps.log.child({ component: 'node-registry' });
  const wakeup = new Wakeup();
  const settler = createGranteeSettler(deps);
  const fences = await startFences(deps, (name) => settler.look(name));
  const registry = new NodeRegistry({
    ...deps,
    fences,
    onDirty: () => wakeup.notify(),
    onMachine: (name) => settler.look(name),
    onStall: (stallMs) => {
      metrics.stallSeconds.inc(stallMs / 1000);
      log.warn({ stallMs: Math.round(stallMs) }, 'the server stood still, leases are longer by that');
    },
    onRivalry: (node, rivalry) => {
      if (rivalry === undefined) {
        log.info({ node }, 'second machine under the name of a node no longer heard');
      } else {
        const { reason, holder, other } = rivalry;
        log.warn(
          { node, reason, holder: holder.id, holderAddress: holder.address, other: other.id, otherAddress: other.address },
          'second machine under the name of a node',
        );
      }
    },
  });
  const tombstones = await store.list(TOMBSTONE_KIND);
  for (const { metadata } of tombstones.items) {
    registry.tombstones.add(metadata.name, Number(metadata.resourceVersion), clock.monotonicMs());
    fences.seed(metadata.name, undefined);
  }
  nodes.onChange((change) => registry.observeChange(change));
  stopper.spawn('node-mirror', (signal) => nodes.run(signal));
  await nodes.ready();
  for (const record of (await store.list<IdentityRecord>(IDENTITY_KIND)).items) {
    registry.holders.set(record.metadata.name, holdingOf(record));
    fences.seed(record.metadata.name, granteeOfRecord(record));
  }
  await recallHeard({ store, registry });
  const lifecycle = createNodeLifecycle({ ...deps, registry, wakeup });
  lead.spawn('node-lifecycle', (signal) => lifecycle.run(signal));
  const save = async (): Promise<void> => {
    if (deps.seat?.role === 'follows') {
      return; // it heard nothing
    }
    await saveHeard({ ...deps, registry }).catch((error: unknown) => log.warn({ err: error }, 'times of last heartbeats not written'));
  };
  const service = createNodeService({ ...deps, registry });
  lead.spawn('grantee-settler', (signal) => settler.run((name) => service.settleGrantee(name), signal));
  return { registry, service, save };
}

/** Nothing may have been granted by this process before. */
async function startFences(deps: StartNodesDeps, onTaken: (node: string) => void): Promise<FenceLedger> {
  const { clock, heartbeatTimeoutMs: timeoutMs, longestAfterMs, stopper, lead = stopper, seat = SOLE_SEAT } = deps;
  // who follows grants nothing, and writes nothing down
  const earlier: EarlierTimeout = seat.role === 'leads' ? await takeOverTimeout(deps, timeoutMs) : { timeoutMs };
  if (earlier.lower !== undefined) {
    lead.spawn('granted-timeout', earlier.lower);
  }
  const startedAtMs = clock.monotonicMs() + seat.grantSlackMs;
  return new FenceLedger({ startedAtMs, timeoutMs, earlierTimeoutMs: earlier.timeoutMs, longestAfterMs, mayGrant: seat.mayGrant, onTaken });
}
