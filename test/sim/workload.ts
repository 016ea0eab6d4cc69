/** What people do to a fleet, and what they were told of it. Knows nothing of faults. */
import type { InjectOptions } from 'fastify';
import type { DrainPlan } from '../../src/api/project/drain.ts';
import { API_VERSION } from '../../src/api/meta.ts';
import type { LossPolicy } from '../../src/api/project/loss-policy.ts';
import type { ProjectSpec } from '../../src/api/project.ts';
import type { Ledger } from './ledger.ts';
import type { SeededRandom } from './world/seeded-random.ts';
import type { Listener } from './world/sim-network.ts';
import { imageOf, IMAGES, jobOf, type World } from './world/world.ts';

export type UserStep = { readonly who: 'people'; readonly atMs: number } & (
  | { readonly does: 'apply'; readonly project: string; readonly revision: number; readonly ttlMs?: number }
  | { readonly does: 'delete project'; readonly project: string; readonly isForced: boolean }
  | { readonly does: 'cordon' | 'uncordon' | 'drain' | 'delete node'; readonly machine: string }
);

const PROJECTS = ['fenced', 'fenced-2', 'moving', 'keeping', 'failing', 'data', 'job', 'web', 'ports', 'checked'];
const APPLY = 'application/apply-patch+json';

export function drawUserStep(
  random: SeededRandom,
  { atMs, index, machines }: { readonly atMs: number; readonly index: number; readonly machines: readonly string[] },
): UserStep {
  const at = { who: 'people', atMs } as const;
  const project = random.pick(PROJECTS);
  const machine = random.pick(machines);
  const dice = random.next();
  if (dice < 0.6) {
    const ttl = random.chance(0.05) ? { ttlMs: random.between(60, 300) * 1000 } : {};
    return { ...at, does: 'apply', project, revision: (index % (IMAGES - 1)) + 1, ...ttl };
  }
  if (dice < 0.75) {
    return { ...at, does: 'delete project', project, isForced: random.chance(0.1) };
  }
  const does = dice < 0.82 ? 'cordon' : dice < 0.9 ? 'uncordon' : dice < 0.95 ? 'drain' : 'delete node';
  return { ...at, does, machine };
}

/** The spec of a Project: its name says of what kind it is, its revision what differs. */
export function specOf(project: string, revision: number, ttlMs?: number): ProjectSpec {
  const image = imageOf(revision);
  const web = { name: 'web', image, stopGracePeriod: '5s' };
  const lost = LOSS[project];
  return {
    services: SHAPES[project]?.(image, revision) ?? [
      web,
      { name: 'api', image: imageOf(1), dependsOn: [{ service: 'web', condition: 'Started' }] },
    ],
    ...(project === 'data' && { volumes: [{ name: 'keep', type: 'Managed' }, { name: 'temp' }] }),
    ...(lost !== undefined && { onNodeLost: lost }),
    ...(ttlMs !== undefined && { ttl: `${ttlMs / 1000}s` }),
  };
}

const LOSS: Readonly<Record<string, NonNullable<ProjectSpec['onNodeLost']>>> = {
  fenced: { action: 'Reschedule', after: '40s', fence: true },
  'fenced-2': { action: 'Reschedule', after: '2m', fence: true },
  moving: { action: 'Reschedule', after: '20s' },
  keeping: { action: 'Keep' },
  failing: { action: 'Fail', after: '30s' },
};

/** What the loss of its node means for a Project of that name: as promised, not as the code that is tested works it out. */
export function lossOf(project: string): LossPolicy {
  return PROMISED[project] ?? { action: 'Reschedule', afterMs: 180_000, fence: false };
}

const PROMISED: Readonly<Record<string, LossPolicy>> = {
  fenced: { action: 'Reschedule', afterMs: 40_000, fence: true },
  'fenced-2': { action: 'Reschedule', afterMs: 120_000, fence: true },
  moving: { action: 'Reschedule', afterMs: 20_000, fence: false },
  keeping: { action: 'Keep', afterMs: Infinity, fence: false },
  failing: { action: 'Fail', afterMs: 30_000, fence: false },
  data: { action: 'Keep', afterMs: Infinity, fence: false }, // a volume of it is Managed
};

const SHAPES: Readonly<Record<string, (image: string, revision: number) => ProjectSpec['services']>> = {
  fenced: (image) => [{ name: 'web', image, stopGracePeriod: '5s' }],
  'fenced-2': (image) => [{ name: 'web', image, stopGracePeriod: '10s' }],
  data: (image) => [
    {
      name: 'db',
      image,
      volumeMounts: [
        { name: 'keep', mountPath: '/data' },
        { name: 'temp', mountPath: '/tmp/x' },
      ],
    },
  ],
  job: (_, revision) => [{ name: 'job', image: jobOf(revision), restartPolicy: 'OnFailure' }],
  checked: (image) => [
    { name: 'web', image, healthCheck: { test: ['CMD', 'look'], interval: '2s' } },
    { name: 'api', image: imageOf(1), dependsOn: [{ service: 'web', condition: 'Healthy' }] },
  ],
  ports: (image) => [{ name: 'web', image, ports: [{ containerPort: 80, hostPort: 8080 }] }],
};

/** Does it as a person would: once, and with an answer or none within 10 s. */
export async function doUserStep(world: World, ledger: Ledger, step: UserStep): Promise<void> {
  ledger.begin(step);
  const askedAtMs = world.clock.monotonicMs();
  const { status, body, end } = await call(world, requestOf(step));
  world.trace.add(`people ${step.does} ${'project' in step ? step.project : step.machine}: ${status ?? 'no answer'}`);
  if (status === undefined) {
    const close = ledger.leave(step);
    void end.then(close, close);
  }
  ledger.note(step, status, askedAtMs);
  if (step.does === 'drain' && status === 200) {
    const { projects } = JSON.parse(body) as DrainPlan;
    const leaving = projects.filter(({ action }) => action === 'Move').map(({ project }) => project);
    ledger.moves.push(...leaving.map((project) => ({ project, machine: step.machine, askedAtMs })));
  }
}

function requestOf(step: UserStep): InjectOptions {
  switch (step.does) {
    case 'apply': {
      const { project, revision, ttlMs } = step;
      const payload = { apiVersion: API_VERSION, kind: 'Project', metadata: { name: project }, spec: specOf(project, revision, ttlMs) };
      return { method: 'PATCH', url: `/api/v1/projects/${project}`, headers: { 'content-type': APPLY }, payload };
    }
    case 'delete project':
      return { method: 'DELETE', url: `/api/v1/projects/${step.project}${step.isForced ? '?force=true' : ''}` };
    case 'cordon':
    case 'uncordon': {
      const spec = { unschedulable: step.does === 'cordon' };
      const headers = { 'content-type': 'application/merge-patch+json' };
      return { method: 'PATCH', url: `/api/v1/nodes/${step.machine}`, headers, payload: { spec } };
    }
    case 'drain':
      return { method: 'POST', url: `/api/v1/nodes/${step.machine}/drain`, payload: {} };
    case 'delete node':
      return { method: 'DELETE', url: `/api/v1/nodes/${step.machine}` };
  }
}

interface Called {
  /** undefined: none came, so that nobody knows whether it was done, or yet will be */
  readonly status: number | undefined;
  readonly body: string;
  /** settles when the server is through with it */
  readonly end: Promise<unknown>;
}

/** Any that takes connections, as with a list of servers. */
function findServer({ server, random }: World): Listener | undefined {
  const { servers } = server;
  const first = servers.length > 1 ? random.between(0, servers.length - 1) : 0;
  return [...servers.slice(first), ...servers.slice(0, first)].map((one) => one.listener()).find((one) => one !== undefined);
}

async function call(world: World, options: InjectOptions): Promise<Called> {
  const target = findServer(world);
  if (target === undefined) {
    return { status: 0, body: '', end: Promise.resolve() }; // connection refused: certainly not done
  }
  const ended = new AbortController();
  const waited = world.clock.sleep(10_000, ended.signal).then(
    () => undefined,
    () => undefined,
  );
  const answered = (async () => {
    await target.life.running();
    return await target.server.app.inject(options);
  })();
  const { promise: killed, resolve: onKill } = Promise.withResolvers<void>();
  target.life.onEnd(onKill);
  const answer = await Promise.race([answered, waited]);
  ended.abort();
  return { status: answer?.statusCode, body: answer?.payload ?? '', end: Promise.race([answered, killed]) };
}
