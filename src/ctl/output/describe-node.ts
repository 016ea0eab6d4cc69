/** `describe node`. */
import type { LinkReport } from '../../api/node/link-report.ts';
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { listNodeUsage } from '../node-usage.ts';
import { timeWithAge } from './age.ts';
import { metaFields, renderConditions, type DescribeView } from './describe-common.ts';
import { summarizeConditions } from './node-columns.ts';
import { toneOf } from './paint.ts';
import { PROJECT_COLUMNS } from './project-columns.ts';
import { heading, renderFields } from './section.ts';
import { renderTable } from './table.ts';
import { formatAmount, formatPercent, leftCell } from './usage.ts';

export interface NodeSurroundings {
  /** those bound to the node */
  readonly projects: readonly ProjectObject[];
  /** undefined: it could not be told */
  readonly link: LinkReport | undefined;
}

export function describeNode(node: NodeObject, { projects, link }: NodeSurroundings, view: DescribeView): string {
  const { metadata, spec, status } = node;
  const { screen, nowMs } = view;
  return [
    renderFields(
      [
        { name: 'Name', value: metadata.name },
        { name: 'State', value: `${status.state} (${summarizeConditions(status.conditions)})`, tone: toneOf(status.state) },
        { name: 'Heartbeat', value: timeWithAge(status.lastHeartbeat, nowMs) },
        { name: 'Hostname', value: spec.hostname ?? 'unknown' },
        { name: 'Unschedulable', value: String(spec.unschedulable) },
        ...metaFields(metadata, nowMs),
      ],
      screen,
    ),
    describeNetwork(node, link, view),
    describeInfo(node, view),
    describeResources(node, projects, view),
    renderConditions(status.conditions, view),
    describeProjects(projects, view),
  ].join('');
}

function describeNetwork({ status: { network } }: NodeObject, link: LinkReport | undefined, { screen, nowMs }: DescribeView): string {
  if (network === undefined) {
    return '';
  }
  const { throughput } = network;
  const speeds = [throughput?.download && `${throughput.download} down`, throughput?.upload && `${throughput.upload} up`].filter(Boolean);
  const fields = [
    { name: 'IP', value: network.ip },
    { name: 'DNS name', value: network.dnsName },
    { name: 'Mode', value: network.mode },
    { name: 'Agent port', value: network.agentPort === undefined ? undefined : String(network.agentPort) },
    { name: 'Path', value: link === undefined ? undefined : describeLink(link) },
    {
      name: 'Throughput',
      value: speeds.length === 0 ? undefined : `${speeds.join(', ')}, measured ${timeWithAge(throughput?.lastTestTime, nowMs)}`,
    },
  ];
  return heading(screen, 'Network') + renderFields(fields, screen, '  ');
}

/** How the server reaches the agent, for logs, exec and port-forward. */
function describeLink({ path, roundTripMs, address, detail }: LinkReport): string {
  const trip = roundTripMs === undefined ? '' : `, round trip ${roundTripMs} ms`;
  switch (path) {
    case 'direct':
      return `direct to ${address ?? 'its address'}${trip}`;
    case 'tunnel':
      return `tunnel of the agent${trip}${address === undefined || detail === undefined ? '' : ` (${address}: ${detail})`}`;
    case 'none':
      return `none: ${detail ?? 'it does not answer'}`;
    default:
      return path satisfies never;
  }
}

function describeInfo({ status: { info } }: NodeObject, { screen }: DescribeView): string {
  if (info === undefined) {
    return '';
  }
  const fields = [
    { name: 'OS', value: info.osImage },
    { name: 'Kernel', value: info.kernelVersion },
    { name: 'Architecture', value: info.architecture },
    { name: 'Container runtime', value: info.containerRuntimeVersion },
    { name: 'Agent', value: info.agentVersion },
  ];
  return heading(screen, 'System') + renderFields(fields, screen, '  ');
}

function describeResources(node: NodeObject, projects: readonly ProjectObject[], { screen }: DescribeView): string {
  const { capacity, allocatable } = node.status;
  if (capacity === undefined && allocatable === undefined) {
    return '';
  }
  const [usage] = listNodeUsage([node], projects);
  const rows = (usage?.resources ?? []).map((used) => [
    used.resource.name,
    String(capacity?.[used.resource.name] ?? '-'),
    String(allocatable?.[used.resource.name] ?? '-'),
    formatAmount(used.resource, used.asked),
    leftCell(used),
    formatPercent(used),
  ]);
  const headers = ['', 'CAPACITY', 'ALLOCATABLE', 'ASKED', 'LEFT', 'ASKED %'];
  return heading(screen, 'Resources') + renderTable(headers, rows, screen, { indent: '  ' });
}

function describeProjects(projects: readonly ProjectObject[], { screen, nowMs }: DescribeView): string {
  const title = heading(screen, 'Projects on it');
  if (projects.length === 0) {
    return `${title}  none\n`;
  }
  const columns = PROJECT_COLUMNS.filter(({ header, isWide }) => isWide !== true && header !== 'NODE');
  return (
    title +
    renderTable(
      columns.map(({ header }) => header),
      projects.map((project) => columns.map((column) => column.cell(project, nowMs))),
      screen,
      { indent: '  ' },
    )
  );
}
