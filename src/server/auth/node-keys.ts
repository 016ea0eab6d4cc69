/**
 * Node keys: which key each node's agent joined with, and the short-lived credentials that it gets by proving that it has it.
 *
 * A join token is needed once: it takes down the agent's public key. From then on the agent asks for a challenge, signs it, and gets a
 * credential, also after a year in a cupboard. A challenge is good for one credential: the next one replaces it, in the same commit.
 * Never    has a private key, or keeps a credential: only its hash.
 * Callers  http/routes/node-keys.ts, http/routes/nodes.ts; nodes/node-service.ts revokes in the commit that deletes a Node.
 */
import { createHash, createPublicKey, randomBytes, timingSafeEqual, verify } from 'node:crypto';
import { ApiError, hasReason } from '../../api/errors.ts';
import { proofText, type NewNodeCredential } from '../../api/node/node-proof.ts';
import type { NodeKeyView, ProofOfKey } from '../../api/token.ts';
import { nowRfc3339, type Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { Store, Write } from '../../store/store.ts';
import { notFound } from '../objects/not-found.ts';
import { retryOnConflict } from '../objects/write-object.ts';
import { deletionOf, newMeta, putOver } from '../objects/record.ts';
import { planJoin, type JoiningMachine } from './plan-join.ts';
import {
  newStored,
  NODE_CREDENTIAL_KIND,
  NODE_KEY_KIND,
  TOKEN_KIND,
  type NodeCredential,
  type NodeKey,
  type StoredToken,
} from './stored-credentials.ts';
import { newCredential, NODE_LETTER } from './token-format.ts';

/** ms; a stolen credential is worth that long; renewed by agents at two thirds of it. */
const CREDENTIAL_MS = 3_600_000;

/** Kept per node: each renewal makes one, and those before it may still be on their way. */
const MAX_CREDENTIALS = 4;

export interface NodeKeysDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly clusterId: string;
  /** whether who joins has to wait for `approve` */
  readonly needsApproval: boolean;
}

export interface NodeKeys {
  /** What the node's agent has to sign next; also for a name that nobody has, so that nothing tells which there are. */
  challenge(node: string): Promise<string>;
  /** @throws {ApiError} Unauthorized; ApprovalNeeded; NodeDeleted; Conflict when another proof came first */
  issue(node: string, proof: ProofOfKey): Promise<NewNodeCredential>;
  /**
   * Takes down the key of a machine that shows a join token, and uses the token up; a second time changes nothing.
   * @throws {ApiError} Unauthorized, NameTaken, Invalid
   */
  join(node: string, machine: JoiningMachine): Promise<void>;
  /** @throws {ApiError} ApprovalNeeded, NotFound */
  assertApproved(node: string): Promise<void>;
  /** Notes which Node the key speaks for. Does nothing for a node without a key. */
  bind(node: string, uid: string): Promise<void>;
  /** @throws {ApiError} NotFound */
  approve(node: string): Promise<NodeKeyView>;
  /** The key and its credentials are nothing any more; the machine needs another join token. @throws {ApiError} NotFound */
  reject(node: string): Promise<NodeKeyView>;
  /** Lets the next machine with a join token have the name. */
  release(node: string): Promise<void>;
  list(): Promise<readonly NodeKeyView[]>;
  /** Nodes that wait for `approve`; none, at no cost, where nobody has to. */
  listWaiting(): Promise<readonly string[]>;
  /** To be committed with the deletion of a Node; `forgotten`: nodes whose agents need not be told any more. */
  writesOfDeletion(node: string, forgotten: readonly string[]): Promise<readonly Write[]>;
}

export function createNodeKeys(deps: NodeKeysDeps): NodeKeys {
  const { store, clock, random, clusterId } = deps;
  const log = deps.log.child({ component: 'node-keys' });
  const decoy = randomBytes(32);

  const find = (node: string): Promise<NodeKey | undefined> => store.get<NodeKey>(NODE_KEY_KIND, node);

  async function get(node: string): Promise<NodeKey> {
    const key = await find(node);
    if (key === undefined) {
      throw notFound('key of node', node);
    }
    return key;
  }

  async function issueOnce(node: string, proof: ProofOfKey): Promise<NewNodeCredential> {
    const key = await find(node);
    if (key === undefined) {
      throw refusal(node, 'it has not joined this cluster');
    }
    const isAsked = timingSafeEqual(Buffer.from(proof.challenge), Buffer.from(key.nonce));
    if (!isAsked || !isSigned(key.publicKey, proofText({ clusterId, node, challenge: proof.challenge }), proof.signature)) {
      throw refusal(node, isAsked ? 'it joined with another key than this machine has' : 'that challenge is over');
    }
    if (key.state === 'Rejected') {
      throw refusal(node, 'its machine was rejected');
    }
    await assertGood(node, key);
    const { text, id, hash } = newCredential(NODE_LETTER);
    const expiresAt = new Date(clock.wallMs() + CREDENTIAL_MS).toISOString();
    const credential = newStored<NodeCredential>(NODE_CREDENTIAL_KIND, newMeta(id, random.uuid(), nowRfc3339(clock)), {
      node,
      hash,
      expiresAt,
    });
    const old = key.credentials.slice(0, Math.max(0, key.credentials.length + 1 - MAX_CREDENTIALS));
    const kept = key.credentials.slice(old.length);
    await store.commit([
      updateOf(key, { nonce: newNonce(), credentials: [...kept, id] }),
      { op: 'create', object: credential },
      ...(await deletesOf(NODE_CREDENTIAL_KIND, old)),
    ]);
    return { token: text, lastsMs: CREDENTIAL_MS };
  }

  /** @throws {ApiError} NodeDeleted, ApprovalNeeded */
  async function assertGood(node: string, key: NodeKey): Promise<void> {
    const record = await store.get('Node', node);
    const isAnother = key.nodeUid !== undefined && record !== undefined && record.metadata.uid !== key.nodeUid;
    if (key.state === 'Revoked' || isAnother) {
      throw new ApiError('NodeDeleted', `Cannot give node ${JSON.stringify(node)} a credential as it was deleted: ${howToJoin(node)}`);
    }
    if (key.state === 'Pending') {
      throw new ApiError(
        'ApprovalNeeded',
        `Cannot let node ${JSON.stringify(node)} in before a person approves it: caractrl node approve ${node}`,
      );
    }
  }

  async function joinOnce(node: string, machine: JoiningMachine): Promise<void> {
    const key = await find(node);
    const token = await store.get<StoredToken>(TOKEN_KIND, machine.tokenId);
    const plan = planJoin({ node, key, token, machine, nowMs: clock.wallMs() });
    if (plan === 'joined') {
      return;
    }
    const { publicKey, hostname, address } = machine;
    const state = deps.needsApproval ? 'Pending' : 'Approved';
    const fields = {
      publicKey,
      tokenId: machine.tokenId,
      state,
      nonce: newNonce(),
      credentials: [],
      ...(hostname !== undefined && { hostname }),
      ...(address !== undefined && { address }),
    } as const;
    const metadata = { ...(key?.metadata ?? newMeta(node, random.uuid(), nowRfc3339(clock))), updatedAt: nowRfc3339(clock) };
    const object = newStored<NodeKey>(NODE_KEY_KIND, metadata, fields);
    await store.commit([
      putOver(key, object),
      ...(await deletesOf(NODE_CREDENTIAL_KIND, key?.credentials ?? [])),
      { op: 'update', object: plan.token, expectedVersion: plan.token.metadata.resourceVersion },
    ]);
    log.info({ node, tokenId: machine.tokenId, state, fingerprint: fingerprintOf(publicKey), hostname, address }, 'node joined');
  }

  async function deletesOf(kind: string, names: readonly string[]): Promise<readonly Write[]> {
    const found = await Promise.all(names.map((name) => store.get(kind, name)));
    return found.flatMap((object) => (object === undefined ? [] : [deletionOf(object)]));
  }

  return {
    challenge: async (node) => (await find(node))?.nonce ?? createHash('sha256').update(decoy).update(node).digest('base64url'),
    issue: issueOnce,
    join: (node, machine) => retryOnConflict(() => joinOnce(node, machine), ['Conflict', 'AlreadyExists']),
    assertApproved: async (node) => assertGood(node, await get(node)),
    bind: (node, uid) =>
      retryOnConflict(async () => {
        const key = await find(node);
        if (key !== undefined && key.nodeUid !== uid) {
          await store.commit([updateOf(key, { nodeUid: uid })]);
        }
      }),
    approve: (node) =>
      retryOnConflict(async () => {
        const key = await get(node);
        if (key.state === 'Revoked' || key.state === 'Rejected') {
          const what = key.state === 'Revoked' ? 'it was deleted' : 'its machine was rejected';
          throw new ApiError('Forbidden', `Cannot approve node ${JSON.stringify(node)} as ${what}: ${howToJoin(node)}`);
        }
        if (key.state === 'Pending') {
          await store.commit([updateOf(key, { state: 'Approved' })]);
          log.info({ node, fingerprint: fingerprintOf(key.publicKey) }, 'node approved');
        }
        return view({ ...key, state: 'Approved' });
      }),
    reject: (node) =>
      retryOnConflict(async () => {
        const key = await get(node);
        const rejected = { ...key, state: 'Rejected', credentials: [] } as const;
        if (key.state !== 'Rejected') {
          await store.commit([updateOf(key, rejected), ...(await deletesOf(NODE_CREDENTIAL_KIND, key.credentials))]);
          log.info({ node, fingerprint: fingerprintOf(key.publicKey) }, 'node rejected');
        }
        return view(rejected);
      }),
    release: (node) =>
      retryOnConflict(async () => {
        const key = await find(node);
        if (key !== undefined && key.isReleased !== true) {
          await store.commit([updateOf(key, { isReleased: true })]);
        }
      }),
    list: async () => (await store.list<NodeKey>(NODE_KEY_KIND)).items.map(view),
    listWaiting: async () => {
      const keys = deps.needsApproval ? (await store.list<NodeKey>(NODE_KEY_KIND)).items : [];
      return keys.filter(({ state }) => state === 'Pending').map(({ metadata }) => metadata.name);
    },
    writesOfDeletion: async (node, forgotten) => {
      const key = await find(node);
      const revoked =
        key === undefined ? [] : [updateOf(key, { state: key.state === 'Rejected' ? 'Rejected' : 'Revoked', credentials: [] })];
      return [
        ...revoked,
        ...(await deletesOf(NODE_CREDENTIAL_KIND, key?.credentials ?? [])),
        ...(await deletesOf(NODE_KEY_KIND, forgotten)),
      ];
    },
  };
}

function updateOf(key: NodeKey, changes: Partial<NodeKey>): Write {
  return { op: 'update', object: { ...key, ...changes }, expectedVersion: key.metadata.resourceVersion };
}

function newNonce(): string {
  return randomBytes(32).toString('base64url');
}

/** Never throws: a key or a signature that is none signs nothing. */
function isSigned(publicKey: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

function view({ metadata, state, publicKey, hostname, address }: NodeKey): NodeKeyView {
  return {
    name: metadata.name,
    state,
    fingerprint: fingerprintOf(publicKey),
    ...(hostname !== undefined && { hostname }),
    ...(address !== undefined && { address }),
    joinedAt: metadata.updatedAt,
  };
}

function fingerprintOf(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('base64url');
}

/** The command that mends it. */
export function howToJoin(node: string): string {
  return `run "caractrl token create --role node --node ${node}", and start its agent with the JOIN_TOKEN that it prints`;
}

function refusal(node: string, why: string): ApiError {
  return new ApiError('Unauthorized', `Cannot give node ${JSON.stringify(node)} a credential as ${why}: ${howToJoin(node)}`);
}

/** Tells whether a failed proof is the agent's to mend, and so to be counted. */
export function isFailedLogin(error: unknown): boolean {
  return hasReason(error, 'Unauthorized');
}
