/** Nodes and Projects as the store has them, for tests that decide on them. */
import { API_VERSION, type ObjectMeta } from '../../../src/api/meta.ts';
import type { NodeObject, NodeState, ResourceAmounts } from '../../../src/api/node.ts';
import type { ProjectObject, ProjectSpec, ProjectStatus } from '../../../src/api/project.ts';

export const EPOCH = '2026-01-01T00:00:00.000Z';

export interface NodeOptions {
  readonly state?: NodeState;
  readonly unschedulable?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly allocatable?: ResourceAmounts;
  readonly version?: number;
  /** heartbeats have stopped */
  readonly isSilent?: boolean;
}

/** A Ready node of 4 CPUs, 8Gi and 100Gi. */
export function nodeOf(name: string, options: NodeOptions = {}): NodeObject {
  const { state = 'Ready', unschedulable = false, labels = {}, version = 1, isSilent = false } = options;
  const { allocatable = { cpu: '4', memory: '8Gi', disk: '100Gi' } } = options;
  const conditions = [
    { type: 'NoHeartbeat', status: isSilent ? 'True' : 'False', reason: 'Test', message: '', lastTransitionTime: EPOCH },
    { type: 'Ready', status: state === 'NotReady' ? 'Unknown' : 'True', reason: 'Test', message: '', lastTransitionTime: EPOCH },
  ] as const;
  return {
    apiVersion: API_VERSION,
    kind: 'Node',
    metadata: { ...metaOf(name, version), labels },
    spec: { unschedulable },
    status: { state, allocatable, conditions },
  };
}

export interface ProjectOptions {
  readonly requests?: ResourceAmounts;
  readonly hostPorts?: readonly number[];
  readonly spec?: Partial<ProjectSpec>;
  readonly status?: Partial<ProjectStatus>;
  readonly meta?: Partial<ObjectMeta>;
  readonly version?: number;
}

/** A Pending Project of one service, `web`. */
export function projectOf(name: string, options: ProjectOptions = {}): ProjectObject {
  const { requests, hostPorts = [], spec = {}, status = {}, meta = {}, version = 1 } = options;
  const ports = hostPorts.map((hostPort) => ({ containerPort: 80, hostPort }));
  const web = { name: 'web', image: 'shop/web:3', ports, ...(requests !== undefined && { resources: { requests } }) };
  return {
    apiVersion: API_VERSION,
    kind: 'Project',
    metadata: { ...metaOf(name, version), ...meta },
    spec: { services: [web], ...spec },
    status: { phase: 'Pending', assignment: 0, observedGeneration: 0, services: [], conditions: [], ...status },
  };
}

/** The same Project bound to `nodeRef`. */
export function boundOf(name: string, nodeRef: string, options: ProjectOptions = {}): ProjectObject {
  return projectOf(name, { ...options, status: { phase: 'Running', nodeRef, assignment: 1, observedGeneration: 1, ...options.status } });
}

function metaOf(name: string, version: number): ObjectMeta {
  return {
    name,
    labels: {},
    annotations: {},
    uid: `uid-of-${name}`,
    resourceVersion: String(version),
    generation: 1,
    createdAt: EPOCH,
    updatedAt: EPOCH,
  };
}
