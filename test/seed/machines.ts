/**
 * The machines of a world: each has a disk that lasts and an engine. worker-01's engine is the real one of the test run, which all test
 * files share: names of Projects on it are to be theirs alone. Others have a fake one each, since an agent clears away what another one
 * of its cluster has running beside it.
 *
 * Owns     agents, disks and fake engines, until disposed of.
 */
import path from 'node:path';
import { callEngine } from '../../scripts/lib/engine-http.ts';
import { contentsOf, IMAGES } from '../support/engines/engine.ts';
import { startFakeDocker, type FakeDocker } from '../support/engines/fake-docker.ts';
import { startAgent, type Program } from '../support/programs/programs.ts';

export interface AgentWish {
  /** on top of what all agents of the world are given; undefined unsets */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** a shell script of the documents that starts it, typed in the operator's folder */
  readonly typed?: string;
  readonly serverUrl?: string;
  /** default: the machine's */
  readonly engineHost?: string;
}

export interface Machines extends AsyncDisposable {
  /** Started again on the machine of that name, it is the agent it was. */
  startAgent(nodeName: string, wish?: AgentWish): Promise<Program>;
  /** Names of the containers on the machine of that name. */
  contentsOf(nodeName: string): Promise<readonly string[]>;
}

export interface MachinesOptions {
  /** of the disks */
  readonly dir: string;
  /** where scripts are typed */
  readonly operatorDir: string;
  readonly realEngineHost: string;
  readonly serverUrl: () => string;
  readonly heartbeatIntervalMs: number;
}

export function createMachines({ dir, operatorDir, realEngineHost, serverUrl, heartbeatIntervalMs }: MachinesOptions): Machines {
  const fakes = new Map<string, FakeDocker>();
  const things = new AsyncDisposableStack();

  async function engineOf(nodeName: string): Promise<string> {
    if (nodeName === 'worker-01') {
      return realEngineHost;
    }
    const known = fakes.get(nodeName);
    if (known !== undefined) {
      return known.host;
    }
    const fake = things.use(await startFakeDocker());
    fake.addImage(IMAGES.v1.tag);
    fakes.set(nodeName, fake);
    return fake.host;
  }

  return {
    startAgent: async (nodeName, wish = {}) => {
      const { typed, serverUrl: url = serverUrl() } = wish;
      const env = { HEARTBEAT_INTERVAL: `${heartbeatIntervalMs}ms`, ...wish.env };
      // what stands in the script is not given beside it; exec, so that the agent can be told to stop by its pid
      const script = typed?.replace('http://cara-server:8080', url).replace('./bin/', 'exec ./bin/');
      const agent = await startAgent({
        serverUrl: url,
        engineHost: wish.engineHost ?? (await engineOf(nodeName)),
        nodeName,
        dataDir: path.join(dir, nodeName),
        env: script === undefined ? env : { ...env, SERVER_URL: undefined, NODE_NAME: undefined },
        ...(script !== undefined && { command: { argv: ['sh', '-c', script], cwd: operatorDir } }),
      });
      return things.use(agent);
    },
    contentsOf: async (nodeName) => Object.keys((await contentsOf(await engineOf(nodeName))).containers),
    [Symbol.asyncDispose]: async () => await things.disposeAsync(),
  };
}

/** What the engine says of a container. */
export interface SeenContainer {
  readonly Id: string;
  readonly State: { readonly Running: boolean; readonly StartedAt: string };
}

/** The container of service `a` of a Project. @returns undefined when there is none */
export async function findContainerOn(engineHost: string, project: string): Promise<SeenContainer | undefined> {
  const { status, text } = await callEngine({ host: engineHost, path: `/containers/cara_${project}_a/json` });
  return status === 404 ? undefined : (JSON.parse(text) as SeenContainer);
}

/** Removes what Projects of one service `a` have left: containers and networks outlive their agents, and so would those of a failed test. */
export async function clearAway(engineHost: string, projects: Iterable<string>): Promise<void> {
  for (const project of projects) {
    await callEngine({ host: engineHost, method: 'DELETE', path: `/containers/cara_${project}_a?force=1` }); // may be gone already
    await callEngine({ host: engineHost, method: 'DELETE', path: `/networks/cara_${project}` });
  }
}
