/** `top nodes`: what is used, what is asked for, and of how much. */
import type { NodeUsage, ResourceUsage } from '../node-usage.ts';
import { toneOf } from '../output/paint.ts';
import type { Cell } from '../output/table.ts';
import { formatAmount, formatPercent, leftCell } from '../output/usage.ts';
import { rateCell, whatIsKnown } from './format-use.ts';
import type { Table } from './screen.ts';
import type { Use } from './use.ts';

export interface NodeRow {
  readonly name: string;
  readonly usage: NodeUsage;
  readonly use: Use;
}

const COLUMNS = [
  { header: 'NAME' },
  { header: 'STATE' },
  ...['CPU', 'MEMORY', 'DISK'].flatMap((name) => [
    { header: `${name} USED` },
    { header: `${name} ASKED`, giveUp: 3 },
    { header: 'OF', giveUp: 4 },
    { header: 'LEFT', giveUp: 2 },
    { header: '%', giveUp: 5 },
  ]),
  { header: 'NET IN', giveUp: 1 },
  { header: 'NET OUT', giveUp: 1 },
  { header: 'PROJECTS', giveUp: 6 },
];

export function tableOfNodes(rows: readonly NodeRow[]): Table {
  return { columns: COLUMNS, rows: rows.map(toRow) };
}

function toRow({ usage: { node, projectCount, resources }, use }: NodeRow): readonly Cell[] {
  const { state } = node.status;
  return [
    node.metadata.name,
    { text: state, tone: toneOf(state) },
    ...resources.flatMap((usage) => [
      formatAmount(usage.resource, usedOf(usage, use)),
      formatAmount(usage.resource, usage.asked),
      formatAmount(usage.resource, usage.allocatable),
      leftCell(usage),
      formatPercent(usage),
    ]),
    rateCell(use.receivedPerSecond),
    rateCell(use.sentPerSecond),
    String(projectCount),
  ];
}

function usedOf({ resource: { name } }: ResourceUsage, { cpuMillis, memoryBytes, diskBytes }: Use): number | undefined {
  const used = { cpu: cpuMillis, memory: memoryBytes, disk: diskBytes }[name];
  return used === undefined ? undefined : Math.round(used);
}

/** Amounts as quantities, exact; what is not known is left out. */
export function documentOfNodes(rows: readonly NodeRow[]): object {
  return { apiVersion: 'caravanserai/v1', kind: 'NodeUsageList', items: rows.map(toItem) };
}

function toItem({ name, usage: { node, projectCount, resources }, use }: NodeRow): object {
  const network = whatIsKnown({ receivedPerSecond: use.receivedPerSecond, sentPerSecond: use.sentPerSecond });
  return {
    name,
    state: node.status.state,
    projects: projectCount,
    resources: Object.fromEntries(resources.map((usage) => [usage.resource.name, toQuantities(usage, use)])),
    ...(network !== undefined && { network }),
  };
}

function toQuantities(usage: ResourceUsage, use: Use): object {
  const {
    resource: { write },
    asked,
    allocatable,
    left,
    percent,
  } = usage;
  const used = usedOf(usage, use);
  return {
    ...(used !== undefined && { used: write(used) }),
    asked: write(asked),
    ...(allocatable !== undefined && { allocatable: write(allocatable) }),
    ...(left !== undefined && { left: left < 0 ? `-${write(-left)}` : write(left) }),
    ...(percent !== undefined && { percent }),
  };
}
