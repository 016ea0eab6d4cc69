/** Promises 5 and 9: once faults stop, what runs is what is asked for, and nothing is left in progress. */
import type { NodeObject } from '../../../src/api/node.ts';
import type { ProjectObject } from '../../../src/api/project.ts';
import type { Ledger } from '../ledger.ts';
import { isGoing, revisionOf } from '../ledger.ts';
import type { World } from '../world/world.ts';
import { findUntruth } from './status.ts';

/** What is not yet as it should be. */
export function findUnsettled(
  world: World,
  ledger: Ledger,
  { projects, nodes }: { readonly projects: readonly ProjectObject[]; readonly nodes: readonly NodeObject[] },
): readonly string[] {
  const uids = new Map(projects.map(({ metadata }) => [metadata.uid, metadata.name]));
  const found = [...world.machines.values()].flatMap((machine) => {
    const node = nodes.find(({ metadata }) => metadata.name === machine.name);
    const leftovers = findLeftovers(machine.name, [...machine.model.containers.values()], projects);
    const all = [...machine.model.networks.values()];
    const networks = all.filter(({ labels }) => !uids.has(labels['caravanserai.io/project-uid'] ?? ''));
    const doubled = all.filter(({ name }, index) => all.findIndex((other) => other.name === name) < index);
    return [
      ...(node?.status.state === 'Ready' ? [] : [`node ${machine.name} is ${node?.status.state ?? 'not there'}`]),
      ...leftovers,
      ...networks.map(({ name }) => `network ${name} is left on ${machine.name}`),
      ...doubled.map(({ name }) => `network ${name} is there twice on ${machine.name}`),
    ];
  });
  return [...found, ...projects.flatMap((project) => findWrong(world, project)), ...ledger.findLost(projects, nodes)];
}

function findWrong(world: World, project: ProjectObject): readonly string[] {
  const { metadata, status } = project;
  if (isGoing(project)) {
    return [`Project ${metadata.name} is still ${status.phase}`];
  }
  const isCurrent = status.phase === 'Running' && status.observedGeneration === metadata.generation && status.move === undefined;
  const untruth = findUntruth(world, project);
  return [
    ...(isCurrent
      ? []
      : [
          `Project ${metadata.name} (revision ${revisionOf(project)}) is ${status.phase} on ${status.nodeRef ?? 'no node'}: ${explain(project)}`,
        ]),
    ...(untruth === undefined ? [] : [untruth]),
  ];
}

function explain({ status }: ProjectObject): string {
  return JSON.stringify(status.conditions.map(({ type, status: is, reason, message }) => `${type}=${is} ${reason} ${message}`));
}

function findLeftovers(
  machine: string,
  containers: readonly { readonly name: string; readonly spec: { readonly labels: Readonly<Record<string, string>> } }[],
  projects: readonly ProjectObject[],
): readonly string[] {
  return containers.flatMap(({ name, spec }) => {
    const owner = projects.find(({ metadata }) => metadata.uid === spec.labels['caravanserai.io/project-uid']);
    return owner?.status.nodeRef === machine ? [] : [`container ${name} is left on ${machine}`];
  });
}
