/** `top services` and `top projects`: what runs, where, and what it uses. */
import type { ProjectObject } from '../../api/project.ts';
import { toneOf } from '../output/paint.ts';
import { bytesCell, cpuCell, rateCell, toUseDocument } from './format-use.ts';
import type { Table } from './screen.ts';
import { deriveServiceUse, sumUse, UNKNOWN_USE, type Samples, type Use } from './use.ts';

export interface ServiceRow {
  /** PROJECT/SERVICE, or PROJECT */
  readonly name: string;
  /** of the service, or the Project's phase */
  readonly state: string;
  readonly node: string | undefined;
  /** of the Project: those that run, and all */
  readonly services?: { readonly running: number; readonly all: number };
  readonly use: Use;
}

/** @param samples node -> what it said */
export function listServices(projects: readonly ProjectObject[], samples: ReadonlyMap<string, Samples>): readonly ServiceRow[] {
  const useOf = lookUp(samples);
  return projects.flatMap((project) =>
    project.spec.services.map(({ name: service }) => {
      const name = `${project.metadata.name}/${service}`;
      const state = project.status.services.find((one) => one.name === service)?.state ?? '-';
      return { name, state, node: project.status.nodeRef, use: useOf(project.status.nodeRef, name) ?? UNKNOWN_USE };
    }),
  );
}

export function listProjects(projects: readonly ProjectObject[], samples: ReadonlyMap<string, Samples>): readonly ServiceRow[] {
  const useOf = lookUp(samples);
  return projects.map(({ metadata: { name }, spec, status: { phase, nodeRef } }) => {
    // what does not run uses nothing; limits of single services are none of the Project's
    const uses = spec.services.map((service) => useOf(nodeRef, `${name}/${service.name}`)).filter((use) => use !== undefined);
    const use = { ...sumUse(uses), memoryLimitBytes: undefined };
    return { name, state: phase, node: nodeRef, services: { running: uses.length, all: spec.services.length }, use };
  });
}

/** By node, as a Project that has moved may still have containers where it was. */
function lookUp(samples: ReadonlyMap<string, Samples>): (node: string | undefined, name: string) => Use | undefined {
  const useByNode = new Map([...samples].map(([node, both]) => [node, deriveServiceUse(both)]));
  return (node, name) => (node === undefined ? undefined : useByNode.get(node)?.get(name));
}

const IO_COLUMNS = [
  { header: 'NET IN', giveUp: 1 },
  { header: 'NET OUT', giveUp: 1 },
  { header: 'DISK READ', giveUp: 3 },
  { header: 'DISK WRITE', giveUp: 3 },
];

export function tableOfServices(rows: readonly ServiceRow[]): Table {
  const columns = [
    { header: 'NAME' },
    { header: 'STATE' },
    { header: 'NODE', giveUp: 2 },
    { header: 'CPU' },
    { header: 'MEMORY' },
    { header: 'LIMIT', giveUp: 4 },
    { header: '%', giveUp: 4 },
    ...IO_COLUMNS,
  ];
  return {
    columns,
    rows: rows.map(({ name, state, node = '-', use }) => [
      name,
      { text: state, tone: toneOf(state) },
      node,
      cpuCell(use.cpuMillis),
      bytesCell(use.memoryBytes),
      bytesCell(use.memoryLimitBytes),
      percentCell(use),
      ...ioCells(use),
    ]),
  };
}

export function tableOfProjects(rows: readonly ServiceRow[]): Table {
  const columns = [
    { header: 'NAME' },
    { header: 'PHASE' },
    { header: 'NODE', giveUp: 2 },
    { header: 'SERVICES', giveUp: 4 },
    { header: 'CPU' },
    { header: 'MEMORY' },
    ...IO_COLUMNS,
  ];
  return {
    columns,
    rows: rows.map(({ name, state, node = '-', services, use }) => [
      name,
      { text: state, tone: toneOf(state) },
      node,
      services === undefined || node === '-' ? '-' : `${services.running}/${services.all}`,
      cpuCell(use.cpuMillis),
      bytesCell(use.memoryBytes),
      ...ioCells(use),
    ]),
  };
}

function ioCells(use: Use): readonly string[] {
  return [use.receivedPerSecond, use.sentPerSecond, use.readPerSecond, use.writtenPerSecond].map(rateCell);
}

/** Of memory, of its own limit. */
function percentCell({ memoryBytes, memoryLimitBytes }: Use): string {
  return memoryBytes === undefined || memoryLimitBytes === undefined ? '-' : `${Math.floor((100 * memoryBytes) / memoryLimitBytes)}%`;
}

/** @param kind such as ServiceUsageList */
export function documentOfServices(rows: readonly ServiceRow[], kind: string): object {
  const items = rows.map(({ name, state, node, services, use }) => {
    const [project = '', service] = name.split('/');
    const what = service === undefined ? { name, phase: state, services } : { project, service, state };
    return { ...what, ...(node !== undefined && { node }), use: toUseDocument(use) };
  });
  return { apiVersion: 'caravanserai/v1', kind, items };
}
