/** Three servers on one PostgreSQL, as processes that are killed and paused, while agents beat and Projects come and go. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { hasReason } from '../../src/api/errors.ts';
import { GRANT_HEADER } from '../../src/api/headers.ts';
import type { NodeObject } from '../../src/api/node.ts';
import type { ProjectObject } from '../../src/api/project.ts';
import type { WatchEvent } from '../../src/api/watch-event.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { CaraClient } from '../../src/client/cara-client.ts';
import { until } from '../../scripts/lib/wait.ts';
import { startFakeDocker } from '../support/engines/fake-docker.ts';
import { caractrl, startAgent } from '../support/programs/programs.ts';
import { startTestCluster, type TestCluster } from '../support/programs/cluster.ts';
import { NO_POSTGRES } from '../support/stores/postgres.ts';

const FOREVER = new AbortController().signal;
const BEAT_MS = 300;
const NODES = 20;

const pause = (ms: number, signal = FOREVER): Promise<void> => systemClock.sleep(ms, signal).catch(() => undefined);
const manifest = (name: string) => ({
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name },
  spec: { services: [{ name: 'web', image: 'web:1' }] },
});

/** Beats as an agent does, again at once after a failure. */
async function beat(client: CaraClient, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await client.sendHeartbeat(name, {}, signal);
      await pause(BEAT_MS, signal);
    } catch (error) {
      assert.ok(signal.aborted || hasReason(error, 'Unavailable'), String(error));
      await pause(100, signal);
    }
  }
}

/** Tries until it is answered with something other than "not now". */
async function insist<Result>(call: () => Promise<Result>): Promise<Result> {
  const outcome = await until(
    async () => {
      try {
        return { result: await call() };
      } catch (error) {
        if (hasReason(error, 'Unavailable')) {
          return undefined;
        }
        return { error };
      }
    },
    { what: 'an answer', timeoutMs: 60_000, intervalMs: 50 },
  );
  if ('error' in outcome) {
    throw outcome.error;
  }
  return outcome.result;
}

describe('three servers on one PostgreSQL', { skip: NO_POSTGRES, timeout: 120_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster(3, { NODE_HEARTBEAT_TIMEOUT: '5s' });
  });
  after(() => cluster[Symbol.asyncDispose]());

  it('caractrl shows them, and each takes every request', async () => {
    const leader = await cluster.leader();
    const { stdout } = await caractrl(['get', 'servers'], { server: cluster.urls });
    assert.match(stdout, /^NAME +ROLE +URL +VERSION +LAST SEEN +AGE\ns1 /u);
    assert.equal(stdout.match(/Leader/gu)?.length, 1);
    assert.equal(stdout.match(/Follower/gu)?.length, 2);
    for (const [index, server] of cluster.servers.entries()) {
      const own = cluster.client(server.url);
      const name = `any-${index}`;
      await own.registerNode(name, { hostname: name }, FOREVER);
      await own.sendHeartbeat(name, {}, FOREVER);
      await own.projects.apply(`p-${index}`, manifest(`p-${index}`), FOREVER);
      for (const other of cluster.servers) {
        const client = cluster.client(other.url);
        assert.equal((await client.nodes.get(name, FOREVER)).status.state, 'Ready', `${name} at ${other.name}`);
        assert.equal((await client.projects.get(`p-${index}`, FOREVER)).metadata.name, `p-${index}`);
      }
    }
    for (let index = 0; index < cluster.servers.length; index += 1) {
      await cluster.client(leader.url).projects.delete(`p-${index}`, { force: true }, FOREVER);
      await cluster.client(leader.url).nodes.delete(`any-${index}`, {}, FOREVER);
    }
  });

  it('a leader that is killed again and again makes no node NotReady, and loses or doubles no Project', async () => {
    const client = cluster.client();
    const stop = new AbortController();
    const names = Array.from({ length: NODES }, (_, index) => `node-${index}`);
    for (const name of names) {
      await insist(() => client.registerNode(name, { hostname: name }, FOREVER));
    }
    const beating = names.map((name) => beat(cluster.client(), name, stop.signal));
    const allReady = async (): Promise<boolean> =>
      (await client.nodes.list({}, FOREVER)).items.filter(({ status }) => status.state === 'Ready').length === NODES;
    await until(allReady, { what: 'all nodes to be Ready', timeoutMs: 60_000 });

    const blamed: string[] = [];
    const watching = (async () => {
      let since: string | undefined = (await insist(() => client.nodes.list({}, FOREVER))).metadata.resourceVersion;
      while (!stop.signal.aborted) {
        try {
          for await (const event of client.nodes.watch({ ...(since !== undefined && { since }) }, stop.signal)) {
            const { type, object }: WatchEvent<NodeObject> = event;
            const resourceVersion: string = object.metadata.resourceVersion;
            assert.ok(
              since === undefined || Number(resourceVersion) >= Number(since),
              `a watch stepped back from ${since} to ${resourceVersion}`,
            );
            since = resourceVersion;
            if (type === 'MODIFIED' && (object as NodeObject).status.state === 'NotReady') {
              blamed.push(object.metadata.name);
            }
          }
        } catch (error) {
          assert.ok(stop.signal.aborted || hasReason(error, 'Unavailable'), String(error));
        }
        await pause(50, stop.signal);
      }
    })();
    const kept = new Set<string>();
    const writing = (async () => {
      for (let step = 0; !stop.signal.aborted; step += 1) {
        const name = `work-${step}`;
        const { result } = await insist(() => client.projects.apply(name, manifest(name), FOREVER));
        assert.ok(result === 'created' || result === 'unchanged', result); // unchanged: the first answer was lost
        kept.add(name);
        if (step % 3 === 2) {
          const victim = `work-${step - 2}`;
          await insist(() =>
            client.projects.delete(victim, { force: true }, FOREVER).catch((error: unknown) => {
              if (!hasReason(error, 'NotFound')) {
                throw error;
              } // the first answer was lost
            }),
          );
          kept.delete(victim);
        }
        await pause(30, stop.signal);
      }
    })();

    const gaps: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await pause(1_000);
      const leader = await cluster.leader();
      await leader.kill();
      const killedAtMs = systemClock.monotonicMs();
      await cluster.leader(leader);
      gaps.push(Math.round(systemClock.monotonicMs() - killedAtMs));
      await leader.start();
    }
    await pause(6_000); // longer than the timeout: who was blamed shows by now
    stop.abort();
    await Promise.all([...beating, writing, watching]);
    assert.deepEqual(blamed, []);
    assert.ok(
      gaps.every((gap) => gap < 5_000),
      `changes of leader took ${gaps.join(', ')} ms`,
    );
    const listed = await client.projects.list({}, FOREVER);
    assert.deepEqual(listed.items.map(({ metadata }) => metadata.name).toSorted(), [...kept].toSorted());
    assert.ok(listed.items.length > 20 && listed.items.every(({ status }) => status.nodeRef !== undefined && status.assignment === 1));
  });

  it('a real agent that knows all servers runs on through a change of leader, and takes what comes after it', async () => {
    await using engine = await startFakeDocker();
    engine.addImage('web:1');
    await using agent = await startAgent({
      serverUrl: cluster.urls,
      engineHost: engine.host,
      nodeName: 'real',
      env: { HEARTBEAT_INTERVAL: '500ms' },
    });
    const client = cluster.client();
    const bound = (name: string) => ({ ...manifest(name), spec: { ...manifest(name).spec, nodeSelector: { real: 'yes' } } });
    const running = async (name: string): Promise<ProjectObject> =>
      await until(
        async () => {
          const project = await client.projects.get(name, FOREVER);
          return project.status.phase === 'Running' && project;
        },
        { what: `${name} to run`, timeoutMs: 60_000 },
      );
    await until(async () => (await client.nodes.find('real', FOREVER)) !== undefined, { what: 'the agent to register', timeoutMs: 60_000 });
    await insist(() => client.nodes.patch('real', { metadata: { labels: { real: 'yes' } } }, FOREVER));
    await insist(() => client.projects.apply('before', bound('before'), FOREVER));
    const first = await running('before');
    const leader = await cluster.leader();
    await leader.kill();
    await cluster.leader(leader);
    await insist(() => client.projects.apply('after', bound('after'), FOREVER));
    await running('after');
    assert.equal((await running('before')).status.services[0]?.containerId, first.status.services[0]?.containerId);
    assert.equal((await client.nodes.get('real', FOREVER)).status.state, 'Ready');
    assert.ok(!agent.log().some(({ level }) => Number(level) >= 50));
    await leader.start();
  });

  it('a paused leader is replaced, and changes nothing when it wakes', async () => {
    const client = cluster.client();
    const leader = await cluster.leader();
    const others = cluster.client(
      cluster.servers
        .filter((server) => server !== leader)
        .map(({ url }) => url)
        .join(','),
    );
    await insist(() => client.registerNode('sleeper', { hostname: 'sleeper' }, FOREVER));
    process.kill(leader.process().pid, 'SIGSTOP');
    try {
      const next = await until(
        async () => {
          const { items } = await others.servers.list(FOREVER);
          return items.find(({ status }) => status.role === 'Leader' && status.url !== leader.url);
        },
        { what: 'another leader', timeoutMs: 60_000 },
      );
      assert.notEqual(next.metadata.name, leader.name);
      // what it is sent while it sleeps it reads when it wakes, believing for a moment that it leads
      const late = fetch(`${leader.url}/api/v1/nodes/sleeper/heartbeat`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      });
      const written = await insist(() => others.nodes.patch('sleeper', { metadata: { labels: { by: 'next' } } }, FOREVER));
      process.kill(leader.process().pid, 'SIGCONT');
      const answer = await late;
      assert.ok(answer.status === 503 || answer.status === 204);
      assert.equal(answer.headers.get(GRANT_HEADER), null, 'granted by a server that led no longer');
      await until(
        async () => {
          const { items } = await cluster.client(leader.url).servers.list(FOREVER);
          return items.find(({ status }) => status.role === 'Leader')?.status.url === next.status.url;
        },
        { what: 'the ex-leader to follow', timeoutMs: 60_000 },
      );
      const after = await others.nodes.get('sleeper', FOREVER);
      assert.equal(after.metadata.labels['by'], 'next');
      assert.ok(Number(after.metadata.resourceVersion) >= Number(written.metadata.resourceVersion));
    } finally {
      process.kill(leader.process().pid, 'SIGCONT');
    }
  });
});
