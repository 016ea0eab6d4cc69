/** What the API says of nodes and Projects, and waiting until it says something else. Without our own client: what curl would see. */
import assert from 'node:assert/strict';
import { until } from '../../scripts/lib/wait.ts';
import { findCondition } from '../../src/api/condition.ts';
import type { NodeObject, NodeState } from '../../src/api/node.ts';
import type { ProjectObject, ProjectPhase } from '../../src/api/project.ts';

const PATIENCE_MS = 30_000;

export interface ApiView {
  /** @param target from /api/v1/ on; `body` is sent as JSON */
  call(method: string, target: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }>;
  /** As it is now. @throws {Error} when there is none */
  node(name: string): Promise<NodeObject>;
  project(name: string): Promise<ProjectObject>;
  /** Waits until a node is so. @param what completes "waiting for nodes/x ..." */
  untilNode(name: string, what: string, isSo: (node: NodeObject) => boolean): Promise<NodeObject>;
  untilState(name: string, state: NodeState): Promise<NodeObject>;
  untilProject(name: string, what: string, isSo: (project: ProjectObject) => boolean): Promise<ProjectObject>;
  untilPhase(name: string, phase: ProjectPhase): Promise<ProjectObject>;
  /** Waits until there is no such object. */
  untilGone(target: string): Promise<void>;
}

/** @param serverUrl asked at each call: a server that is started again may be elsewhere */
export function createApiView(serverUrl: () => string): ApiView {
  const call: ApiView['call'] = async (method, target, body) => {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await fetch(`${serverUrl()}/api/v1/${target}`, { method, ...content });
    return { status: response.status, text: await response.text() };
  };

  async function get<Item>(target: string): Promise<Item> {
    const { status, text } = await call('GET', target);
    assert.equal(status, 200, `${target}: ${text}`);
    return JSON.parse(text) as Item;
  }

  async function untilSo<Item extends { readonly status: unknown }>(target: string, what: string, isSo: (item: Item) => boolean) {
    let last: Item | undefined;
    const look = async (): Promise<Item | false> => isSo((last = await get<Item>(target))) && last;
    return await until(look, { what: `${target} ${what}`, timeoutMs: PATIENCE_MS }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last seen: ${JSON.stringify(last?.status)}`, { cause: error });
    });
  }

  const untilNode: ApiView['untilNode'] = async (name, what, isSo) => await untilSo(`nodes/${name}`, what, isSo);
  const untilProject: ApiView['untilProject'] = async (name, what, isSo) => await untilSo(`projects/${name}`, what, isSo);
  return {
    call,
    node: async (name) => await get(`nodes/${name}`),
    project: async (name) => await get(`projects/${name}`),
    untilNode,
    untilState: async (name, state) => await untilNode(name, `to be ${state}`, ({ status }) => status.state === state),
    untilProject,
    untilPhase: async (name, phase) => await untilProject(name, `to be ${phase}`, ({ status }) => status.phase === phase),
    untilGone: async (target) => {
      const look = async (): Promise<boolean> => (await call('GET', target)).status === 404;
      await until(look, { what: `${target} to be gone`, timeoutMs: PATIENCE_MS });
    },
  };
}

/**
 * Waits until the scheduler has refused a Project a place, which it must never get meanwhile.
 * @returns why
 */
export async function untilRefused(view: ApiView, name: string): Promise<string> {
  let placedOn: string | undefined;
  const { status } = await view.untilProject(name, 'to be refused a place', (project) => {
    placedOn ??= project.status.nodeRef;
    return placedOn !== undefined || findCondition(project.status.conditions, 'Scheduled')?.status === 'False';
  });
  assert.deepEqual([placedOn, status.phase, status.assignment], [undefined, 'Pending', 0], `${name} must not be placed`);
  return findCondition(status.conditions, 'Scheduled')?.message ?? '';
}

/** The types of a node's True conditions other than Ready. */
export function trueConditions({ status }: NodeObject): readonly string[] {
  return status.conditions.filter((condition) => condition.type !== 'Ready' && condition.status === 'True').map(({ type }) => type);
}
