/** The table of Nodes. The first four columns are the guide's. */
import type { Condition } from '../../api/condition.ts';
import type { NodeObject, ResourceAmounts } from '../../api/node.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';
import { toneOf } from './paint.ts';

/** In this order, whatever the order in the status; a type of a newer server comes after them. */
const ORDER = ['NoHeartbeat', 'RuntimeUnavailable', 'DiskPressure', 'MemoryPressure', 'Unschedulable'];

/** The CONDITIONS column: the types of the True conditions other than Ready, or Healthy. */
export function summarizeConditions(conditions: readonly Condition[]): string {
  const types = conditions.filter(({ type, status }) => type !== 'Ready' && status === 'True').map(({ type }) => type);
  const known = ORDER.filter((type) => types.includes(type));
  const others = types.filter((type) => !ORDER.includes(type)).toSorted();
  return [...known, ...others].join(',') || 'Healthy';
}

export const NODE_COLUMNS: readonly Column<NodeObject>[] = [
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'STATE', cell: ({ status }) => ({ text: status.state, tone: toneOf(status.state) }) },
  { header: 'CONDITIONS', cell: ({ status }) => summarizeConditions(status.conditions) },
  { header: 'AGE', cell: ({ metadata }, nowMs) => ageOf(metadata.createdAt, nowMs) },
  { header: 'HOSTNAME', isWide: true, cell: ({ spec }) => spec.hostname ?? '-' },
  { header: 'IP', isWide: true, cell: ({ status }) => status.network?.ip ?? '-' },
  { header: 'VERSION', isWide: true, cell: ({ status }) => status.info?.agentVersion ?? '-' },
  { header: 'CAPACITY', isWide: true, cell: ({ status }) => formatAmounts(status.capacity) },
  { header: 'HEARTBEAT', isWide: true, cell: ({ status }, nowMs) => ageOf(status.lastHeartbeat, nowMs) },
];

function formatAmounts(amounts: ResourceAmounts | undefined): string {
  const parts = (['cpu', 'memory', 'disk'] as const).flatMap((resource) =>
    amounts?.[resource] === undefined ? [] : [`${resource}=${amounts[resource]}`],
  );
  return parts.join(',') || '-';
}
