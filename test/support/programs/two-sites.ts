/**
 * A server and two nodes on two real engines: `near` is with the server, `far` in a network namespace behind what lets nothing in but answers,
 * as a NAT does, so that the server reaches it through the agent's own connection alone.
 *
 * Owns     the programs, the far engine and the line to it, until it is disposed of; Projects that it applied go too.
 */
import assert from 'node:assert/strict';
import { findFreePort } from '../../../scripts/lib/ports.ts';
import { runOrThrow, type RunResult } from '../../../scripts/lib/run.ts';
import type { Engine } from '../../../scripts/lib/engine.ts';
import { startExtraEngine, testEngine } from '../engines/engine.ts';
import { linkHosts, refuseIncoming } from '../network/host-link.ts';
import { caractrl, startAgent, startServer, type CtlOptions, type Program } from './programs.ts';
import { makeScratch } from '../scratch.ts';
import { nodeInState } from './seen.ts';

const NEAR = '10.98.81.1';
const FAR = '10.98.81.2';

export type Site = 'near' | 'far';

export interface TwoSites extends AsyncDisposable {
  /** of the server, here */
  readonly url: string;
  /** a folder for the test */
  readonly folder: string;
  readonly farEngine: Engine;
  agent(site: Site): Program;
  /** Starts the site's agent anew, on the state that it had. */
  restartAgent(site: Site): Promise<void>;
  /** kill -9 of the server, and its start on the same port and state. */
  restartServer(): Promise<void>;
  ctl(args: readonly string[], options?: CtlOptions): Promise<RunResult>;
  /** Applies a Project of these services on a site's node, and waits until all run. */
  apply(name: string, site: Site, services: readonly object[]): Promise<void>;
  /** Lets nothing into the near node's agent either, or does again. */
  setDirect(isOpen: boolean): Promise<void>;
}

export async function startTwoSites(): Promise<TwoSites> {
  const scratch = makeScratch();
  const stack = new AsyncDisposableStack();
  stack.defer(() => scratch[Symbol.dispose]());
  try {
    const farEngine = stack.use(await startExtraEngine({ network: 'own', images: 'hello' }));
    const netns = farEngine.netns ?? assert.fail();
    await linkHosts({ link: `cr${process.pid}`, netns, near: NEAR, far: FAR });
    await refuseIncoming(netns);
    const port = await findFreePort(9500, '0.0.0.0');
    const begin = async (): Promise<Program> => {
      const env = { HOST: '0.0.0.0', PORT: String(port), AUTH: 'none', TLS: 'off', NODE_HEARTBEAT_TIMEOUT: '8s' };
      return await startServer({ env, dataDir: `${scratch.path}/server` });
    };
    const join = async (site: Site): Promise<Program> =>
      await startAgent({
        serverUrl: `http://${NEAR}:${port}`,
        engineHost: site === 'far' ? farEngine.host : testEngine(),
        nodeName: site,
        dataDir: `${scratch.path}/${site}`,
        env: { HEARTBEAT_INTERVAL: '1s', AGENT_HOST: '0.0.0.0' },
        ...(site === 'far' && { netns: farEngine.netns ?? assert.fail() }),
      });
    const url = `http://127.0.0.1:${port}`;
    let server = await begin();
    stack.defer(async () => await server[Symbol.asyncDispose]());
    const agents = { near: await join('near'), far: await join('far') };
    stack.defer(async () => await agents.far[Symbol.asyncDispose]());
    stack.defer(async () => await agents.near[Symbol.asyncDispose]());
    const ctl = async (args: readonly string[], options: CtlOptions = {}) => await caractrl(args, { server: url, ...options });
    for (const name of ['near', 'far']) {
      await nodeInState(url, { name, state: 'Ready' });
      const labelled = await ctl(['label', 'node', name, `site=${name}`]);
      assert.equal(labelled.code, 0, labelled.stderr);
    }
    const done = stack.move();
    const projects = new Set<string>();
    return {
      url,
      folder: scratch.path,
      farEngine,
      agent: (site) => agents[site],
      restartAgent: async (site) => void (agents[site] = await join(site)),
      restartServer: async () => {
        await server.kill();
        server = await begin();
      },
      ctl,
      apply: async (name, site, services) => {
        if (site === 'near') {
          projects.add(name); // the other engine goes as a whole
        }
        const spec = { services, nodeSelector: { site } };
        const manifest = { apiVersion: 'caravanserai/v1', kind: 'Project', metadata: { name }, spec };
        const applied = await ctl(['apply', '--wait', '-f', '-'], { input: JSON.stringify(manifest) });
        assert.equal(applied.code, 0, applied.stderr);
      },
      setDirect: async (isOpen) => {
        const rule = ['INPUT', '-p', 'tcp', '--dport', new URL(agents.near.url).port, '-j', 'REJECT', '--reject-with', 'tcp-reset'];
        await runOrThrow('iptables', [isOpen ? '-D' : '-I', ...rule], { timeoutMs: 10_000 });
      },
      [Symbol.asyncDispose]: async () => {
        for (const name of projects) {
          await ctl(['delete', 'project', name]);
        }
        await done.disposeAsync();
      },
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}
