/** Two machines under one node's name, through the API: who is refused, and what both are told. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findCondition } from '../../src/api/condition.ts';
import { createMemoryStore } from '../../src/store/memory-store.ts';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import { VirtualClock } from '../support/time/virtual-clock.ts';

const TIMEOUT_MS = 90_000;
const INTERVAL_MS = 30_000;

/** An agent: one start of cara-agent on one machine. */
interface Machine {
  register(): Promise<MachineAnswer>;
  /** Answers when it is asked, as agents do. */
  beat(body?: object): Promise<MachineAnswer>;
  /** A heartbeat that it sent before it died. */
  straggle(): Promise<MachineAnswer>;
}

interface MachineAnswer {
  readonly status: number;
  readonly reason: string | undefined;
  readonly detail: string;
  readonly retryAfter: string | undefined;
  /** whether what is fenced may go on */
  readonly isGranted: boolean;
  /** of the node's own API */
  readonly hasCredential: boolean;
  /** Cara-Hold */
  readonly hold: string | undefined;
}

interface MachineOptions {
  readonly id: string;
  readonly boot: string;
  readonly address: string;
  readonly machine?: string;
  readonly unproven?: true;
}

function machineOf(api: ApiServer, { id, boot, address: remoteAddress, ...more }: MachineOptions): Machine {
  const identity = { id: `identity-${id}`, bootId: boot, ...more };
  const post = async (path: string, payload: object) =>
    api.server.app.inject({ method: 'POST', url: `/api/v1/nodes/worker-01/${path}`, payload, remoteAddress });
  const answerOf = (response: Awaited<ReturnType<typeof post>>): MachineAnswer => {
    const problem = (response.statusCode >= 400 ? response.json() : {}) as { readonly reason?: string; readonly detail?: string };
    return {
      status: response.statusCode,
      reason: problem.reason,
      detail: problem.detail ?? '',
      retryAfter: response.headers['retry-after']?.toString(),
      isGranted: response.headers['cara-heartbeat-timeout'] !== undefined,
      hasCredential: response.headers['cara-agent-credential'] !== undefined,
      hold: response.headers['cara-hold']?.toString(),
    };
  };
  return {
    register: async () => answerOf(await post('register', { hostname: `host-of-${boot}`, identity })),
    beat: async (body = {}) => {
      const first = await post('heartbeat', { ...body, identity });
      const question = first.headers['cara-challenge'];
      return answerOf(question === undefined ? first : await post('heartbeat', { ...body, identity: { ...identity, answer: question } }));
    },
    straggle: async () => answerOf(await post('heartbeat', { identity, capacity: { cpu: '1' } })),
  };
}

const elderOf = (api: ApiServer): Machine => machineOf(api, { id: 'shared', boot: 'elder', address: '10.0.0.1' });
const copyOf = (api: ApiServer): Machine => machineOf(api, { id: 'shared', boot: 'copy', address: '::ffff:10.0.0.2' });
const strangerOf = (api: ApiServer): Machine => machineOf(api, { id: 'stranger', boot: 'stranger', address: '10.0.0.3' });

async function duplicateOf(api: ApiServer): Promise<string> {
  const condition = findCondition((await api.node('worker-01')).status.conditions, 'DuplicateIdentity');
  return condition === undefined ? 'absent' : `${condition.status} ${condition.reason} ${condition.message}`;
}

async function startWith(...machines: readonly ((api: ApiServer) => Machine)[]) {
  const api = await startApi();
  const [first = elderOf(api), second = first] = machines.map((of) => of(api));
  await first.register();
  await first.beat();
  await api.clock.advance(50);
  return { api, first, second, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

describe('one identity on two machines', () => {
  test('the copy is refused once the first has beaten, both are told with both addresses, and it ends when the copy is gone', async () => {
    await using world = await startWith(elderOf, copyOf);
    const { api, first: elder, second: copy } = world;
    assert.equal((await copy.register()).status, 200); // it may be a restart
    assert.equal((await copy.beat()).status, 204);
    await api.clock.advance(INTERVAL_MS);
    assert.equal((await elder.beat()).status, 204);
    await api.clock.advance(50);
    const condition = await duplicateOf(api);
    assert.match(
      condition,
      /^True IdentityShared .*host-of-elder .*10\.0\.0\.1 .*host-of-copy .*10\.0\.0\.2 .*identity\.json.*NODE_NAME.*caractrl node reset-identity worker-01/u,
    );
    assert.equal((await api.node('worker-01')).status.state, 'Ready'); // the first is healthy
    const refused = await copy.beat();
    await api.clock.advance(50);
    assert.match(await duplicateOf(api), /host-of-copy .*10\.0\.0\.2 is refused/u); // though heartbeats do not say the host name
    assert.deepEqual([refused.status, refused.reason], [409, 'DuplicateIdentity']);
    for (const words of ['10.0.0.1', '10.0.0.2', 'identity.json', 'caractrl node reset-identity worker-01']) {
      assert.ok(refused.detail.includes(words), `${words} in: ${refused.detail}`);
    }
    const again = await copy.register();
    assert.deepEqual([again.status, again.reason, again.retryAfter], [409, 'DuplicateIdentity', '60']);
    assert.equal((await elder.beat()).status, 204);
    await api.clock.advance(TIMEOUT_MS / 2);
    await elder.beat();
    await api.clock.advance(TIMEOUT_MS / 2 - 1000);
    assert.match(await duplicateOf(api), /^True/u);
    await api.clock.advance(2000);
    assert.match(await duplicateOf(api), /^False OneMachine/u);
  });

  test('a restart gets in at once, also a second after a kill, and messages that the dead process left behind change nothing', async () => {
    await using world = await startWith(elderOf, copyOf);
    const { api, first: dead, second: restarted } = world;
    assert.equal((await restarted.register()).status, 200);
    assert.equal((await restarted.beat({ capacity: { cpu: '4' } })).status, 204);
    for (let beat = 0; beat < 6; beat += 1) {
      await dead.straggle();
      await api.clock.advance(INTERVAL_MS);
      assert.equal((await restarted.beat({ capacity: { cpu: '4' } })).status, 204);
    }
    await api.clock.advance(50);
    const { status } = await api.node('worker-01');
    assert.deepEqual([status.state, status.capacity, await duplicateOf(api)], ['Ready', { cpu: '4' }, 'absent']);
  });

  test('reset-identity gives the name to the other', async () => {
    await using world = await startWith(elderOf, copyOf);
    const { api, first: elder, second: copy } = world;
    await copy.register();
    await elder.beat();
    assert.equal((await copy.beat()).status, 409);
    assert.equal((await api.call('POST', '/nodes/worker-01/reset-identity')).status, 200);
    assert.equal((await copy.register()).status, 200);
    assert.equal((await elder.beat()).status, 409);
    assert.deepEqual([(await copy.beat()).status, (await elder.register()).status], [204, 409]);
  });

  test('after a restart of the server the condition stays while the copy asks, and goes when it does not', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startApi({ clock, store });
      await elderOf(api).register();
      await elderOf(api).beat();
      await copyOf(api).register();
      await copyOf(api).beat();
      await elderOf(api).beat();
      await clock.advance(50);
    }
    await using api = await startApi({ clock, store });
    assert.match(await duplicateOf(api), /^True IdentityShared .*10\.0\.0\.2/u);
    assert.equal((await elderOf(api).beat()).status, 204);
    await clock.advance(TIMEOUT_MS / 2);
    assert.match(await duplicateOf(api), /^True IdentityShared .*10\.0\.0\.2/u); // the copy has had no time to ask yet
    assert.equal((await copyOf(api).register()).status, 200); // nobody knows yet
    assert.equal((await elderOf(api).beat()).status, 204);
    assert.equal((await copyOf(api).beat()).status, 409);
    await clock.advance(TIMEOUT_MS + 1000);
    await elderOf(api).beat();
    await clock.advance(50);
    assert.match(await duplicateOf(api), /^False/u);
    await store.close();
  });
});

describe('two identities under one name', () => {
  test("the second is refused and both are told; a heartbeat for someone else's name is refused too", async () => {
    await using world = await startWith(elderOf, strangerOf);
    const { api, first: holder, second: stranger } = world;
    const refused = await stranger.register();
    assert.deepEqual([refused.status, refused.reason], [409, 'NameTaken']);
    assert.match(refused.detail, /10\.0\.0\.1, you are .*10\.0\.0\.3.*caractrl node reset-identity worker-01.*NODE_NAME/u);
    assert.equal((await stranger.register()).detail, refused.detail); // the same words: an agent logs them once
    await api.clock.advance(50);
    assert.match(await duplicateOf(api), /^True NameClaimed .*10\.0\.0\.3\b.*10\.0\.0\.1\b/u);
    const beat = await stranger.beat({ capacity: { cpu: '64' } });
    assert.deepEqual([beat.status, beat.reason], [409, 'NameTaken']);
    await api.clock.advance(50);
    assert.equal((await api.node('worker-01')).status.capacity, undefined);
    assert.equal((await holder.beat()).status, 204);
  });

  test('a heartbeat for a name that another identity holds counts for nothing, also while that one is silent', async () => {
    await using world = await startWith(elderOf, strangerOf);
    const { api, second: stranger } = world;
    await api.clock.advance(TIMEOUT_MS + 100);
    assert.equal((await stranger.beat()).status, 409);
    await api.clock.advance(50);
    assert.equal((await api.node('worker-01')).status.state, 'NotReady');
    assert.equal((await stranger.register()).status, 200); // it is to register, and then has the name
    assert.equal((await stranger.beat()).status, 204);
  });

  test('a reinstalled machine gets in with the command that the refusal prints, also over a restart of the server', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startApi({ clock, store });
      await elderOf(api).register();
      await elderOf(api).beat();
      const { detail } = await strangerOf(api).register();
      assert.match(detail, /let it in with: caractrl node reset-identity worker-01 /u);
      assert.equal((await api.call('POST', '/nodes/worker-01/reset-identity')).status, 200);
      await clock.advance(50);
    }
    await using api = await startApi({ clock, store });
    assert.equal((await elderOf(api).beat()).status, 204); // until another takes the name
    assert.equal((await strangerOf(api).register()).status, 200);
    assert.deepEqual([(await strangerOf(api).beat()).status, (await elderOf(api).beat()).status], [204, 409]);
    assert.equal((await api.call('POST', '/nodes/nobody/reset-identity')).status, 404);
    await store.close();
  });

  test('who holds a name is known after a restart of the server', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startApi({ clock, store });
      await elderOf(api).register();
      await elderOf(api).beat();
      await clock.advance(50);
    }
    await using api = await startApi({ clock, store });
    assert.deepEqual([(await strangerOf(api).beat()).status, (await strangerOf(api).register()).status], [409, 409]);
    assert.equal((await elderOf(api).beat()).status, 204);
    await store.close();
  });
});

describe('another boot of a machine, or a copy of it', () => {
  const shared = { id: 'shared', address: '10.0.0.1' };
  const beforeOf = (api: ApiServer): Machine => machineOf(api, { ...shared, boot: 'before', machine: 'machine-1' });
  const sinceOf = (api: ApiServer): Machine => machineOf(api, { ...shared, boot: 'since', machine: 'machine-2', unproven: true });
  const provenOf = (api: ApiServer): Machine => machineOf(api, { ...shared, boot: 'since', machine: 'machine-2' });

  /** Both with as much as is granted at first. */
  async function startGranted(options: Parameters<typeof startApi>[0] = {}) {
    const api = await startApi(options);
    await beforeOf(api).register();
    assert.ok((await beforeOf(api).beat()).isGranted);
    await api.clock.advance(1000);
    return api;
  }

  test('it starts nothing while the one before may be heard, and may then, until nobody can dispute it any more', async () => {
    await using api = await startGranted();
    const since = sinceOf(api);
    const registered = await since.register();
    assert.deepEqual([registered.status, registered.hasCredential], [200, false]); // the way to the node is still that of the one before
    assert.equal((await since.beat()).hold, String(TIMEOUT_MS / 2 - 1000));
    await api.clock.advance(TIMEOUT_MS / 2 - 1000);
    assert.equal((await since.beat()).hold, '0');
    assert.ok((await since.register()).hasCredential);
    await api.clock.advance(TIMEOUT_MS / 2 + 1000);
    assert.equal((await since.beat()).hold, undefined);
  });

  test('what is fenced is granted to it when the grants of the one before have run out, and not before', async () => {
    await using api = await startGranted();
    const since = sinceOf(api);
    await since.register();
    for (let atMs = 1000; atMs < TIMEOUT_MS; atMs += INTERVAL_MS - 1000) {
      assert.equal((await since.beat()).isGranted, false, `at ${atMs} ms`);
      await api.clock.advance(INTERVAL_MS - 1000);
    }
    assert.ok((await since.beat()).isGranted);
  });

  test('the one before that is heard keeps name and grants', async () => {
    await using api = await startGranted();
    await sinceOf(api).register();
    assert.equal((await sinceOf(api).beat()).status, 204);
    const heard = await beforeOf(api).beat();
    assert.deepEqual([heard.isGranted, heard.hold], [true, undefined]);
    assert.equal((await sinceOf(api).beat()).status, 409);
  });

  test('a restart of the server does not let it have a grant early, nor takes it from whoever has it', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startGranted({ clock, store });
      await sinceOf(api).register();
    }
    {
      await using api = await startApi({ clock, store });
      assert.equal((await sinceOf(api).beat()).isGranted, false);
      assert.ok(Number((await sinceOf(api).beat()).hold) > 0);
      await clock.advance(TIMEOUT_MS + 1000);
      await sinceOf(api).beat();
      assert.ok((await sinceOf(api).beat()).isGranted);
      await clock.advance(50); // written down
    }
    {
      await using api = await startApi({ clock, store });
      assert.ok((await provenOf(api).beat()).isGranted);
    }
    await using api = await startApi({ clock, store });
    assert.equal((await beforeOf(api).beat()).isGranted, false); // first to be heard, but not who had the grants
    await store.close();
  });

  test('a dispute that the one before has won leaves it its grants over a restart of the server', async () => {
    const clock = new VirtualClock();
    const store = createMemoryStore({ clock });
    {
      await using api = await startGranted({ clock, store });
      await sinceOf(api).register();
      await beforeOf(api).beat();
      await clock.advance(50);
    }
    await using api = await startApi({ clock, store });
    assert.ok((await beforeOf(api).beat()).isGranted);
    await store.close();
  });
});
