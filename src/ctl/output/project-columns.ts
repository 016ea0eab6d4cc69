/** The table of Projects. */
import type { ProjectObject } from '../../api/project.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';
import { toneOf } from './paint.ts';

export const PROJECT_COLUMNS: readonly Column<ProjectObject>[] = [
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'PHASE', cell: ({ status }) => ({ text: status.phase, tone: toneOf(status.phase) }) },
  { header: 'NODE', cell: ({ status }) => status.nodeRef ?? '-' },
  { header: 'READY', cell: countReady },
  { header: 'AGE', cell: ({ metadata }, nowMs) => ageOf(metadata.createdAt, nowMs) },
  { header: 'IMAGES', isWide: true, cell: ({ spec }) => [...new Set(spec.services.map(({ image }) => image))].join(',') },
  { header: 'PORTS', isWide: true, cell: (project) => listPorts(project).join(',') || '-' },
  { header: 'REASON', cell: ({ status }) => status.reason ?? findTrouble(status.conditions) ?? '-' },
];

/** Ready services of all: `2/2`. */
export function countReady({ spec, status }: ProjectObject): string {
  return `${status.services.filter(({ ready }) => ready).length}/${spec.services.length}`;
}

/** Host ports and where they lead: `80->web:8080`. */
export function listPorts({ spec }: ProjectObject): readonly string[] {
  return spec.services.flatMap(({ name, ports = [] }) =>
    ports.flatMap(({ hostPort, containerPort, protocol }) =>
      hostPort === undefined ? [] : [`${hostPort}->${name}:${containerPort}${protocol === 'UDP' ? '/udp' : ''}`],
    ),
  );
}

function findTrouble(conditions: ProjectObject['status']['conditions']): string | undefined {
  return conditions.find(({ status }) => status === 'False')?.reason;
}
