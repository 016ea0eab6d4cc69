/** Explain: why no node takes a Project, as one sentence for a person; pure. */
import { formatBytes, formatMillis } from '../../api/quantity.ts';
import { writeAsked, type Demand } from './demand.ts';
import type { Refusal } from './filters.ts';
import type { RefusalCount } from './place.ts';

/**
 * The message of `Scheduled=False`, as in
 * `0/12 nodes are available: 3 are Draining, 5 lack memory (512Mi asked, 300Mi free at most), 4 do not match nodeSelector`.
 * The order is fixed, so that a growing count moves no words about: what may pass by itself first, what the Project asks for last.
 */
export function explain(refusals: readonly RefusalCount[], demand: Demand): string {
  const total = refusals.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) {
    return 'no nodes are registered: start cara-agent on a machine';
  }
  const parts = refusals.toSorted(compareRefusals).map((refusal) => `${refusal.count} ${wordsOf(refusal, demand)}`);
  return `0/${total} nodes are available: ${parts.join(', ')}`;
}

/** Why one node does not take it, to follow its name: `lacks memory (512Mi asked, 300Mi free at most)`. */
export function describeRefusal(refusal: RefusalCount, demand: Demand): string {
  return wordsOf({ ...refusal, count: 1 }, demand);
}

const ORDER: readonly Refusal[] = [
  'NotReady',
  'Draining',
  'CpuUnreported',
  'CpuLacking',
  'MemoryUnreported',
  'MemoryLacking',
  'DiskUnreported',
  'DiskLacking',
  'HostPortTaken',
  'SelectorMismatch',
  'FailedBefore',
  'LeftOnRequest',
  'NotWished',
];

function compareRefusals(left: RefusalCount, right: RefusalCount): number {
  const byReason = ORDER.indexOf(left.refusal) - ORDER.indexOf(right.refusal);
  return byReason || right.count - left.count || ((left.port ?? '') < (right.port ?? '') ? -1 : 1);
}

function wordsOf({ refusal, count, freeAtMost = 0, port, holder }: RefusalCount, demand: Demand): string {
  const one = count === 1;
  switch (refusal) {
    case 'NotReady':
    case 'Draining':
      return `${one ? 'is' : 'are'} ${refusal}`;
    case 'FailedBefore':
      return 'already failed to run it';
    case 'LeftOnRequest':
      return `${one ? 'is' : 'are'} what it was asked to leave`;
    case 'NotWished':
      return `${one ? 'is' : 'are'} not ${demand.wishedNode ?? ''}, where it was asked to go`;
    case 'SelectorMismatch':
      return `${one ? 'does' : 'do'} not match nodeSelector`;
    case 'CpuUnreported':
    case 'MemoryUnreported':
    case 'DiskUnreported':
      return `${one ? 'does' : 'do'} not report ${nameOf(refusal)}`;
    case 'CpuLacking':
      return lacks(one, `cpu (${writeAsked(demand).cpu} asked, ${formatMillis(Math.floor(freeAtMost))} free at most)`);
    case 'MemoryLacking':
      return lacks(one, `memory (${writeAsked(demand).memory} asked, ${formatRounded(freeAtMost)} free at most)`);
    case 'DiskLacking':
      return lacks(one, `disk (${writeAsked(demand).disk} asked, ${formatRounded(freeAtMost)} free at most)`);
    case 'HostPortTaken':
      return `${one ? 'has' : 'have'} host port ${port ?? ''} taken${one && holder !== undefined ? ` by ${holder}` : ''}`;
    default:
      return refusal satisfies never;
  }
}

function nameOf(refusal: Extract<Refusal, `${string}Unreported`>): string {
  return refusal.slice(0, -'Unreported'.length).toLowerCase();
}

function lacks(one: boolean, what: string): string {
  return `${one ? 'lacks' : 'lack'} ${what}`;
}

const MEBIBYTE = 2 ** 20;

/** Bytes for reading: cut down to whole mebibytes, so that it never says more is free than there is. */
function formatRounded(bytes: number): string {
  return formatBytes(bytes >= MEBIBYTE ? bytes - (bytes % MEBIBYTE) : bytes);
}
