/**
 * Node service: every write of a Node that a user or an agent asks for.
 *
 * Owns     spec, labels and annotations of Nodes; derives status in the very commit that changes spec, so that a cordon has no window.
 * Never    answers before the write is durable and the registry knows of it.
 * Callers  http/routes/nodes.ts; grantee-settler.ts by way of start-nodes.ts.
 */
import type { NodeApply, NodeManifest, NodeObject, NodeSpec, Registration } from '../../api/node.ts';
import { decodeNodeManifest } from '../../api/manifest.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Draft, Store, Write } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { deletionOf, putOver } from '../objects/record.ts';
import {
  applyObject,
  checkMayCreate,
  newObject,
  patchManifest,
  replaceObject,
  retryOnConflict,
  type ManifestMetadata,
} from '../objects/write-object.ts';
import { AGENT_CREDENTIAL_KIND } from '../tunnel/agent-credentials.ts';
import { IDENTITY_KIND, UNKNOWN_GRANTEE, writeOfGrantee, writeOfRelease, writesOfHolder, type IdentityRecord } from './identity-record.ts';
import { bootsOf, granteeOf, type Party } from './node-identity.ts';
import { deriveNodeStatus, isSameStatus } from './node-state.ts';
import type { NodeRegistry } from './node-registry.ts';
import { checkIsStart, newTombstone, TOMBSTONE_KIND, type TombstoneRecord } from './tombstones.ts';

export interface NodeServiceDeps {
  readonly store: Store;
  readonly registry: NodeRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly heartbeatTimeoutMs: number;
  /** what goes with a Node: its agent's credentials. `forgotten`: names of deleted ones that are forgotten now */
  readonly writesOfDeletion?: (name: string, forgotten: readonly string[]) => Promise<readonly Write[]>;
}

export interface Applied {
  readonly object: NodeObject;
  readonly isCreated: boolean;
  readonly isChanged: boolean;
}

export interface NodeService {
  /** @throws {ApiError} AlreadyExists */
  create(manifest: NodeManifest): Promise<NodeObject>;
  /** @throws {ApiError} NotFound; Conflict when the manifest names a resourceVersion that is not current */
  replace(name: string, manifest: NodeManifest): Promise<NodeObject>;
  /** Creates, or merges into what is there. @throws {ApiError} Conflict as above */
  apply(manifest: NodeApply): Promise<Applied>;
  /** RFC 7396. @throws {ApiError} NotFound, Invalid, Conflict */
  patch(name: string, mergePatch: unknown): Promise<NodeObject>;
  /** Deletes the record and its identity, and leaves a tombstone. @throws {ApiError} NotFound */
  delete(name: string): Promise<NodeObject>;
  /** Refuses a registration that is no start where the node was deleted. @throws {ApiError} NodeDeleted */
  checkIsStart(name: string, registration: Registration): Promise<void>;
  /**
   * An agent's start: creates or claims the record and clears a tombstone.
   * @param address where the server sees the agent: its remote IP address
   * @throws {ApiError} NameTaken, DuplicateIdentity; NodeDeleted as `checkIsStart`
   */
  register(name: string, registration: Registration, address?: string): Promise<NodeObject>;
  /** Lets whoever registers next have the name, though its holder may live. @throws {ApiError} NotFound */
  resetIdentity(name: string): Promise<NodeObject>;
  /** Writes down which machine alone may have been granted what is fenced, once that is so. */
  settleGrantee(name: string): Promise<void>;
}

/** What a user may write of a Node. */
interface NodeDesired {
  readonly metadata: ManifestMetadata;
  readonly spec: NodeSpec;
}

export function createNodeService(deps: NodeServiceDeps): NodeService {
  const { store, registry, clock, random, heartbeatTimeoutMs } = deps;
  const log = deps.log.child({ component: 'node-service' });

  /** The node with the status that its spec calls for. */
  function withStatus<Item extends NodeObject | Draft<NodeObject>>(node: Item, report?: Registration): Item {
    const { name } = node.metadata;
    const presence = registry.view.presence(name);
    const news = report?.info === undefined ? presence.report : { ...presence.report, info: report.info };
    const facts = { name, spec: node.spec, leaseMs: heartbeatTimeoutMs, now: nowRfc3339(clock) };
    return { ...node, status: deriveNodeStatus({ ...facts, ...presence, report: news, previous: node.status }) };
  }

  async function getNode(name: string): Promise<NodeObject> {
    const node = await store.get<NodeObject>('Node', name);
    if (node === undefined) {
      throw notFound('node', name);
    }
    return node;
  }

  /** Commits; the first write is the node's. */
  async function commit(writes: readonly Write[]): Promise<NodeObject> {
    const [stored] = await store.commit(writes);
    registry.observe(stored as NodeObject);
    return stored as NodeObject;
  }

  async function commitNew(desired: NodeDesired, options: { readonly report?: Registration; readonly also?: readonly Write[] } = {}) {
    const { name } = desired.metadata;
    const draft = newNode(desired, random.uuid(), nowRfc3339(clock));
    const tombstone = await store.get<TombstoneRecord>(TOMBSTONE_KIND, name);
    if (tombstone !== undefined && options.report !== undefined) {
      checkIsStart(tombstone, options.report);
    }
    const node = await commit([
      { op: 'create', object: withStatus(draft, options.report) },
      // only over what was looked at: a node that was made and deleted meanwhile has another tombstone, and must keep it
      tombstone === undefined ? { op: 'check', kind: TOMBSTONE_KIND, name, expectedVersion: undefined } : deletionOf(tombstone),
      ...(options.also ?? []),
    ]);
    log.info({ node: name, uid: node.metadata.uid }, 'node created');
    return node;
  }

  async function commitChange(before: NodeObject, after: NodeObject): Promise<NodeObject> {
    if (after === before) {
      return before;
    }
    const isSpecChanged = after.metadata.generation !== before.metadata.generation;
    const object = isSpecChanged ? withStatus(after) : after;
    const node = await commit([{ op: 'update', object, expectedVersion: before.metadata.resourceVersion }]);
    logStateChange(before, node);
    return node;
  }

  function logStateChange(before: NodeObject, after: NodeObject): void {
    if (before.status.state !== after.status.state) {
      log.info(
        { node: after.metadata.name, from: before.status.state, to: after.status.state, reason: 'SpecChanged' },
        'node state changed',
      );
    }
  }

  const replace = async (name: string, manifest: NodeManifest): Promise<NodeObject> => {
    const before = await getNode(name);
    const desired = { metadata: manifest.metadata, spec: completeSpec(manifest.spec) };
    return commitChange(before, replaceObject(before, desired, nowRfc3339(clock)));
  };

  async function applyOnce(manifest: NodeApply): Promise<Applied> {
    const { metadata } = manifest;
    const before = await store.get<NodeObject>('Node', metadata.name);
    const spec = mergeSpec(before?.spec, manifest.spec);
    if (before === undefined) {
      checkMayCreate('Node', metadata);
      return { object: await commitNew({ metadata, spec }), isCreated: true, isChanged: true };
    }
    const object = await commitChange(before, applyObject(before, { metadata, spec }, nowRfc3339(clock)));
    return { object, isCreated: false, isChanged: object !== before };
  }

  async function deleteOnce(name: string): Promise<NodeObject> {
    const node = await getNode(name);
    const now = nowRfc3339(clock);
    const holding = registry.holders.find(name);
    const forgettable = registry.tombstones.listForgettable(clock.monotonicMs()).filter((old) => old !== name);
    const [deleted] = await store.commit([
      { op: 'delete', kind: 'Node', name, expectedVersion: node.metadata.resourceVersion },
      putOver(
        await store.get(TOMBSTONE_KIND, name),
        newTombstone(name, { uid: random.uuid(), now, boots: holding === undefined ? [] : bootsOf(holding) }),
      ),
      ...(await deletesOf(IDENTITY_KIND, [name])),
      ...(await deletesOf(AGENT_CREDENTIAL_KIND, [name])),
      ...(await deletesOf(TOMBSTONE_KIND, forgettable)),
      ...((await deps.writesOfDeletion?.(name, forgettable)) ?? []),
    ]);
    registry.forget(name, Number(deleted?.metadata.resourceVersion));
    forgettable.forEach((old) => registry.tombstones.delete(old));
    log.info({ node: name, uid: node.metadata.uid }, 'node deleted');
    return (deleted ?? node) as NodeObject;
  }

  async function deletesOf(kind: string, names: readonly string[]): Promise<readonly Write[]> {
    const found = await Promise.all(names.map((name) => store.get(kind, name)));
    return found.flatMap((object) => (object === undefined ? [] : [deletionOf(object)]));
  }

  async function registerOnce(name: string, registration: Registration, party: Party | undefined): Promise<NodeObject> {
    const identity = await store.get<IdentityRecord>(IDENTITY_KIND, name);
    const before = await store.get<NodeObject>('Node', name);
    const now = nowRfc3339(clock);
    const { hostname } = registration;
    if (before !== undefined && party !== undefined) {
      registry.holders.check(name, party);
    }
    const also =
      party === undefined ? [] : writesOfHolder(name, identity, party, { uid: random.uuid(), now, grantees: granteesWith(name, party) });
    if (before === undefined) {
      return commitNew({ metadata: { name }, spec: specOf(hostname === '' ? undefined : hostname, false) }, { report: registration, also });
    }
    const hasHostname = before.spec.hostname !== undefined && before.spec.hostname !== '';
    const spec = hasHostname || hostname === undefined || hostname === '' ? before.spec : { ...before.spec, hostname };
    const after = withStatus(applyObject(before, { metadata: { name }, spec }, now), registration);
    if (spec === before.spec && isSameStatus(after.status, before.status)) {
      await store.commit(also);
      return before;
    }
    return commit([{ op: 'update', object: after, expectedVersion: before.metadata.resourceVersion }, ...also]);
  }

  /** Who may have been granted what is fenced, `party` included: written before it is. */
  function granteesWith(name: string, party: Party): readonly string[] {
    const { fences } = registry;
    const grantee = granteeOf(party);
    return fences.isHeldByOther(name, grantee, clock.monotonicMs()) ? [fences.holderOf(name) ?? UNKNOWN_GRANTEE, grantee] : [grantee];
  }

  async function settleGranteeOnce(name: string): Promise<void> {
    const holding = registry.holders.find(name);
    const grantee = holding && granteeOf(holding.holder);
    if (grantee === undefined || registry.fences.holderOf(name) !== grantee) {
      return; // another may still have been granted
    }
    const record = await store.get<IdentityRecord>(IDENTITY_KIND, name);
    const write = record && writeOfGrantee(record, grantee);
    if (write !== undefined) {
      await store.commit([write]);
    }
  }

  async function resetIdentityOnce(name: string): Promise<NodeObject> {
    const node = await getNode(name);
    const record = await store.get<IdentityRecord>(IDENTITY_KIND, name);
    if (record !== undefined && record.isReleased !== true) {
      await store.commit([writeOfRelease(record)]);
    }
    const holding = registry.holders.find(name);
    if (holding !== undefined) {
      registry.holders.set(name, { ...holding, isReleased: true });
    }
    log.info({ node: name, identity: holding?.holder.id }, 'node identity reset');
    return node;
  }

  return {
    create: (manifest) => retryOnConflict(() => commitNew({ metadata: manifest.metadata, spec: completeSpec(manifest.spec) })),
    replace: (name, manifest) => retryOnConflict(() => replace(name, manifest)),
    apply: (manifest) => retryOnConflict(() => applyOnce(manifest), ['Conflict', 'AlreadyExists']),
    patch: (name, mergePatch) =>
      retryOnConflict(async () => replace(name, patchManifest(await getNode(name), mergePatch, decodeNodeManifest))),
    delete: (name) => retryOnConflict(() => deleteOnce(name)),
    checkIsStart: async (name, registration) => {
      const tombstone = await store.get<TombstoneRecord>(TOMBSTONE_KIND, name);
      if (tombstone !== undefined) {
        checkIsStart(tombstone, registration);
      }
    },
    register: async (pathName, registration, address) => {
      const { identity, hostname } = registration;
      const name = hostname === pathName ? hostname : pathName; // one text for both, and not the slice of a URL that keeps all of it
      const party = identity && partyOf(identity, hostname, address);
      const node = await retryOnConflict(() => registerOnce(name, registration, party), ['Conflict', 'AlreadyExists']);
      registry.claim(name, party);
      log.info({ node: name, identity: identity?.id, hostname, address }, 'node registered');
      return node;
    },
    resetIdentity: (name) => retryOnConflict(() => resetIdentityOnce(name)),
    settleGrantee: (name) => retryOnConflict(() => settleGranteeOnce(name)),
  };
}

/** A Node that is to be created; its status is a placeholder until `withStatus` derives it. */
function newNode({ metadata, spec }: NodeDesired, uid: string, now: string): Draft<NodeObject> {
  return newObject<NodeObject>({ kind: 'Node', metadata, spec, status: { state: 'NotReady', conditions: [] }, uid, now });
}

function completeSpec(spec: NodeManifest['spec']): NodeSpec {
  return { ...spec, unschedulable: spec?.unschedulable ?? false };
}

/** Spec of an apply: what it leaves out stays, null removes. */
function mergeSpec(existing: NodeSpec | undefined, changes: NodeApply['spec']): NodeSpec {
  const merged = { ...existing, ...changes };
  const { hostname, unschedulable } = merged;
  return specOf(hostname ?? undefined, unschedulable ?? false);
}

/** Field by field, as `partyOf`: what a spread adds does not lie in the object itself, which takes 32 bytes more, for each node. */
function specOf(hostname: string | undefined, unschedulable: boolean): NodeSpec {
  return hostname === undefined ? { unschedulable } : { hostname, unschedulable };
}

function partyOf({ id, bootId, machine, unproven }: NonNullable<Registration['identity']>, hostname?: string, address?: string): Party {
  const party: Party = { id, bootId, machine, hostname, address };
  return unproven === true ? { ...party, unproven } : party;
}
