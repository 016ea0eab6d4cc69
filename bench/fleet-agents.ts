/** What simulated agents say, for detection.ts and the fleet: a million of them, each by a number of six digits. */
import type { Heartbeat } from '../src/api/node.ts';

const INFO = {
  kernelVersion: '6.12.41-amd64',
  osImage: 'Debian GNU/Linux 13 (trixie)',
  architecture: 'amd64',
  containerRuntimeVersion: 'docker://28.3.2',
  agentVersion: '0.1.0',
};

/** A request that is the same for each agent but for its number. */
export interface Template {
  readonly bytes: Buffer;
  /** where the digits of the number stand, each six times in their order */
  readonly places: readonly number[];
}

const DIGITS = 6;
const DIGIT = '@';
const NUMBER = DIGIT.repeat(DIGITS);
const HEADERS = 'host: 127.0.0.1\r\nuser-agent: bench';

export function agentName(index: number): string {
  return `node-${String(index).padStart(DIGITS, '0')}`;
}

/** What an agent sends with each heartbeat. */
export function reportOf(index: number): Heartbeat {
  const digits = String(index).padStart(DIGITS, '0');
  let next = 0;
  return JSON.parse(JSON.stringify(REPORT).replaceAll(DIGIT, () => digits.charAt(next++ % DIGITS))) as Heartbeat;
}

const IDENTITY = {
  id: `7d0d3c34-0d1e-4c1c-9c6f-000000${NUMBER}`,
  bootId: `0f8f1e1a-8f3c-4f57-a5f9-000000${NUMBER}`,
  machine: `5a1d0c77e2b94f08a6c3d1e90f${NUMBER}`,
};
const REPORT = {
  network: { ip: '10.1@@.1@@.1@@', agentPort: 9090, mode: 'Direct' },
  capacity: { cpu: '4', memory: '8147320Ki', disk: '102687672Ki' },
  allocatable: { cpu: '3800m', memory: '7885176Ki', disk: '101639096Ki' },
  info: INFO,
  conditions: [
    { type: 'RuntimeUnavailable', status: 'False', reason: 'EngineAnswers', message: 'The container engine answers' },
    { type: 'DiskPressure', status: 'False', reason: 'EnoughDisk', message: 'The disk of /var/lib/docker has space' },
    { type: 'MemoryPressure', status: 'False', reason: 'EnoughMemory', message: 'Memory is available' },
  ],
  identity: IDENTITY,
};

/** What the load asks of the server, each by an agent or about it. */
export const TEMPLATES = {
  register: toTemplate(`POST /api/v1/nodes/node-${NUMBER}/register`, { hostname: `node-${NUMBER}`, info: INFO, identity: IDENTITY }),
  beat: toTemplate(`POST /api/v1/nodes/node-${NUMBER}/heartbeat`, REPORT),
  /** as no agent sends it: http/beat-front.ts leaves it to Fastify */
  unusualBeat: toTemplate(`POST /api/v1/nodes/node-${NUMBER}/heartbeat`, REPORT, 'application/json; charset=utf-8'),
  read: toTemplate(`GET /api/v1/nodes/node-${NUMBER}`),
  create: toTemplate('POST /api/v1/projects', {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: { name: `project-${NUMBER}` },
    spec: { services: [{ name: 'web', image: 'shop/web:3' }] },
  }),
  report: toTemplate(`PATCH /api/v1/projects/project-${NUMBER}/status`, {
    phase: 'Running',
    assignment: 1,
    observedGeneration: 1,
    services: [{ name: 'web', state: 'Running', ready: true, restarts: 0, containerId: `c0ffee${NUMBER}`, image: 'shop/web:3' }],
  }),
} as const satisfies Readonly<Record<string, Template>>;

export type Saying = keyof typeof TEMPLATES;

function toTemplate(target: string, body?: unknown, type = 'application/json'): Template {
  const text = body === undefined ? '' : JSON.stringify(body);
  const bytes = Buffer.from(
    `${target} HTTP/1.1\r\n${HEADERS}\r\ncontent-type: ${type}\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
    'latin1',
  );
  const places = [...bytes.keys()].filter((place) => bytes[place] === DIGIT.charCodeAt(0));
  return { bytes, places };
}

/** Writes the agent's number into a copy of a template's bytes. */
export function writeNumber(bytes: Buffer, places: readonly number[], index: number): void {
  const digits = String(index).padStart(DIGITS, '0');
  for (let at = 0; at < places.length; at += 1) {
    bytes[places[at] ?? 0] = digits.charCodeAt(at % DIGITS);
  }
}
