/** Many Projects, and an agent that is killed at any moment among applies and deletions: what runs in the end is what is asked for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callEngine, callEngineJson } from '../../scripts/lib/engine-http.ts';
import { runOrThrow } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';
import { nodeInState } from '../support/programs/seen.ts';

const NODE = 'worker-01';
const MANY = 100;

type Phases = ReadonlyMap<string, { readonly phase: string; readonly isCurrent: boolean }>;

async function call(server: Program, method: 'PATCH' | 'DELETE', name: string, body?: object): Promise<void> {
  const answer = await fetch(`${server.url}/api/v1/projects/${name}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/apply-patch+json' } }),
  });
  await answer.body?.cancel();
  assert.ok(answer.ok || (method === 'DELETE' && answer.status === 404), `${method} ${name}: ${answer.status}`);
}

async function apply(server: Program, name: string, spec: object): Promise<void> {
  await call(server, 'PATCH', name, { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec });
}

function greeter(more: object = {}): object {
  return { name: 'web', image: IMAGES.v1.tag, command: ['greeter'], stopGracePeriod: '0s', ...more };
}

async function phasesOf(server: Program): Promise<Phases> {
  const answer = await fetch(`${server.url}/api/v1/projects`);
  const { items } = (await answer.json()) as {
    items: { metadata: { name: string; generation: number }; status: { phase: string; observedGeneration?: number } }[];
  };
  return new Map(
    items.map(({ metadata, status }) => [
      metadata.name,
      { phase: status.phase, isCurrent: status.observedGeneration === metadata.generation },
    ]),
  );
}

async function untilRunning(server: Program, count: number, timeoutMs: number): Promise<void> {
  let last: Phases = new Map();
  await until(
    async () => {
      last = await phasesOf(server);
      return last.size === count && [...last.values()].every(({ phase, isCurrent }) => phase === 'Running' && isCurrent);
    },
    { what: `${count} Projects to be Running`, timeoutMs, intervalMs: 250 },
  ).catch((error: unknown) => {
    const rest = [...last].filter(([, { phase, isCurrent }]) => phase !== 'Running' || !isCurrent);
    throw new Error(`not all Running: ${JSON.stringify(rest.slice(0, 5))} and ${rest.length} in all`, { cause: error });
  });
}

/** Asks for the end of all, and waits until nothing of them is left anywhere. */
async function removeAll(server: Program, timeoutMs: number): Promise<void> {
  await Promise.all([...(await phasesOf(server)).keys()].map(async (name) => await call(server, 'DELETE', name)));
  await until(async () => (await phasesOf(server)).size === 0, { what: 'all Projects to be gone', timeoutMs, intervalMs: 250 });
  assert.deepEqual(await contentsOf(testEngine()), { containers: {}, networks: [], volumes: [] });
}

async function subnets(): Promise<readonly string[]> {
  const networks = (await callEngineJson({ host: testEngine(), path: '/networks' })) as {
    readonly Name: string;
    readonly IPAM: { readonly Config: readonly { readonly Subnet: string }[] };
  }[];
  return networks.filter(({ Name }) => Name.startsWith('cara_')).flatMap(({ IPAM }) => IPAM.Config.map(({ Subnet }) => Subnet));
}

test('a hundred Projects run on one node, each on a network that no route of the machine has, and their names and aliases resolve', async () => {
  await using server = await startServer();
  await using agent = await startAgent({ serverUrl: server.url, engineHost: testEngine(), nodeName: NODE });
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  const route = '10.210.0.0/22'; // where the pool begins
  await runOrThrow('ip', ['route', 'add', 'blackhole', route], { timeoutMs: 60_000 });
  try {
    const ask =
      'for host in web shop-front; do /bin/busybox wget -q -O /dev/null http://$host:8080/ && echo $host answers; done; exec /bin/busybox sleep 86400';
    const asker = { name: 'asker', image: IMAGES.v1.tag, entrypoint: ['/bin/sh', '-c'], command: [ask], stopGracePeriod: '0s' };
    const healthCheck = {
      test: ['CMD', '/bin/busybox', 'wget', '-q', '-O', '/dev/null', 'http://127.0.0.1:8080/'],
      interval: '1s',
      retries: 10,
    };
    const named = [greeter({ aliases: ['shop-front'], healthCheck }), { ...asker, dependsOn: [{ service: 'web', condition: 'Healthy' }] }];
    await apply(server, 'many-names', { services: named });
    const others = Array.from({ length: MANY - 1 }, (_, index) => `many-${index}`);
    await Promise.all(others.map(async (name) => await apply(server, name, { services: [greeter({ command: ['web'] })] })));
    await untilRunning(server, MANY, 150_000);

    const taken = await subnets();
    assert.equal(new Set(taken).size, MANY);
    for (const subnet of taken) {
      const [, third] = /^10\.210\.(\d+)\.\d+\/26$/u.exec(subnet) ?? assert.fail(`${subnet} is no /26 of the pool`);
      assert.ok(Number(third) > 3, `${subnet} lies within ${route}`);
    }
    const { text } = await callEngine({ host: testEngine(), path: '/containers/cara_many-names_asker/logs?stdout=1' });
    assert.match(text, /web answers[\s\S]*shop-front answers/u);
  } finally {
    await runOrThrow('ip', ['route', 'del', 'blackhole', route], { timeoutMs: 60_000 });
  }
  await removeAll(server, 120_000);
  assert.equal(await agent.stop(), 0);
});

/** A random source that a failing run can be repeated with, as far as a real engine allows. Source: mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    const mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    const more = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((more ^ (more >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('kill -9 of the agent at any moment among applies and deletions: in the end each Project runs once, as asked for', async (context) => {
  const seed = Number(process.env['CARA_TEST_SEED'] ?? Date.now() % 1_000_000);
  context.diagnostic(`CARA_TEST_SEED=${seed}`);
  const random = randomOf(seed);
  using folder = makeScratch();
  await using server = await startServer();
  const options = {
    serverUrl: server.url,
    engineHost: testEngine(),
    nodeName: NODE,
    dataDir: folder.path,
    env: { HEARTBEAT_INTERVAL: '500ms' },
  };
  let agent = await startAgent(options);
  await nodeInState(server.url, { name: NODE, state: 'Ready' });
  /** name -> what its container is to say */
  const wanted = new Map<string, string>();
  try {
    for (let act = 0; act < 48; act += 1) {
      const name = `churn-${Math.floor(random() * 8)}`;
      if (random() < 0.3) {
        wanted.delete(name);
        await call(server, 'DELETE', name);
      } else if (!(await phasesOf(server)).get(name)?.phase.startsWith('Terminat')) {
        const word = `word-${act}`;
        const services = [
          greeter({
            env: [{ name: 'WORD', value: word }],
            files: [{ mountPath: '/etc/word', content: word }],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          }),
          greeter({ name: 'next', dependsOn: [{ service: 'web' }] }),
        ];
        await apply(server, name, { services, volumes: [{ name: 'data' }] });
        wanted.set(name, word);
      }
      if (act % 6 === 5) {
        const steps = agent.log().filter(({ msg }) => msg === 'step done').length;
        const least = Math.floor(random() * 6); // so that it dies at another place each time
        await until(() => agent.log().filter(({ msg }) => msg === 'step done').length >= steps + least, {
          what: 'steps',
          timeoutMs: 3000,
          intervalMs: 2,
        }).catch(
          () => undefined, // nothing left to do is a moment too
        );
        await agent.kill();
        agent = await startAgent(options);
      }
    }
    await until(async () => [...(await phasesOf(server)).keys()].toSorted().join() === [...wanted.keys()].toSorted().join(), {
      what: 'deleted Projects to be gone',
      timeoutMs: 60_000,
    });
    await untilRunning(server, wanted.size, 60_000);
    const { containers, networks, volumes } = await contentsOf(testEngine());
    const names = [...wanted.keys()];
    assert.deepEqual(Object.keys(containers).toSorted(), names.flatMap((name) => [`cara_${name}_next`, `cara_${name}_web`]).toSorted());
    // What the engine was still at when its agent was killed may have come after the Project was gone: an orphan, removed after 3 min.
    const orphans = networks.filter((network) => !names.some((name) => network === `cara_${name}`));
    assert.ok(orphans.every((network) => /^cara_churn-\d$/u.test(network)) && orphans.length <= 2, orphans.join());
    assert.ok(names.every((name) => networks.includes(`cara_${name}`) && volumes.includes(`cara_${name}_data`)));
    for (const [name, word] of wanted) {
      const { Config } = (await callEngineJson({ host: testEngine(), path: `/containers/cara_${name}_web/json` })) as {
        Config: { Env: string[] };
      };
      assert.ok(Config.Env.includes(`WORD=${word}`), `${name} runs ${Config.Env.join(' ')} and not ${word}`);
    }
    for (const network of orphans) {
      await callEngine({ host: testEngine(), method: 'DELETE', path: `/networks/${network}` });
    }
    await removeAll(server, 60_000);
    assert.equal(await agent.stop(), 0);
  } finally {
    await agent[Symbol.asyncDispose]();
  }
});
