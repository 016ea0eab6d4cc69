/**
 * Node fit: whether the scheduler could still choose the node that a Project is on; pure. A Project stays where it is all the same: who
 * changed the spec or the node may have meant it so, and a move is downtime.
 *
 * Where the sum of what is placed on a node is too much, as it has less than it had, the oldest Projects fit and those that came after do
 * not: so one Project is told of, and not all of them.
 * Callers  project-verdict.ts, with what node-load.ts has summed.
 */
import type { NodeObject } from '../../api/node.ts';
import type { ProjectObject } from '../../api/project.ts';
import { RESOURCES, readAllocatable, type Amounts } from '../../api/resource-amounts.ts';
import { deriveDemand, writeAsked } from '../scheduler/demand.ts';
import { matchesSelector } from '../scheduler/filters.ts';
import type { Cause } from './project-status.ts';

/** @param older what the older Projects on the node request */
export function findMisfit({ metadata, spec }: ProjectObject, node: NodeObject, older: Amounts): Cause | undefined {
  const demand = deriveDemand(spec);
  const stays = `it stays on ${node.metadata.name}; caractrl move ${metadata.name} has it placed anew`;
  if (!matchesSelector(node, demand.nodeSelector)) {
    return { reason: 'SelectorMismatch', message: `The labels of the node do not match nodeSelector: ${stays}` };
  }
  if (RESOURCES.every(({ unit }) => demand.amounts[unit] === 0)) {
    return undefined;
  }
  const allocatable = readAllocatable(node.status);
  for (const { name, unit, write } of RESOURCES) {
    const available = allocatable[unit];
    const asked = demand.amounts[unit];
    if (available !== undefined && asked > 0 && asked + older[unit] > available) {
      const others = asked > available ? '' : ` beside ${write(older[unit])} of older Projects`;
      const given = String(node.status.allocatable?.[name]);
      return {
        reason: 'InsufficientResources',
        message: `The ${name} of the node does not suffice (${writeAsked(demand)[name]} asked${others}, ${given} allocatable): ${stays}`,
      };
    }
  }
  return undefined;
}
