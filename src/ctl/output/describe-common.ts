/** What `describe` shows of any object. */
import type { Condition } from '../../api/condition.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import type { Screen } from '../io.ts';
import { ageOf, timeWithAge } from './age.ts';
import { heading, pairs, type Field } from './section.ts';
import { renderTable } from './table.ts';

export interface DescribeView {
  readonly screen: Pick<Screen, 'hasColor'>;
  readonly nowMs: number;
}

export function metaFields(metadata: ObjectMeta, nowMs: number): readonly Field[] {
  return [
    { name: 'Labels', value: pairs(metadata.labels) },
    { name: 'Annotations', value: pairs(metadata.annotations) },
    { name: 'Created', value: timeWithAge(metadata.createdAt, nowMs) },
    { name: 'Deleted', value: metadata.deletedAt === undefined ? undefined : timeWithAge(metadata.deletedAt, nowMs) },
    { name: 'UID', value: metadata.uid },
    { name: 'Generation', value: String(metadata.generation) },
  ];
}

export function renderConditions(conditions: readonly Condition[], { screen, nowMs }: DescribeView): string {
  if (conditions.length === 0) {
    return `${heading(screen, 'Conditions')}  none\n`;
  }
  const rows = conditions.map(({ type, status, reason, message, lastTransitionTime, lastHeartbeatTime }) => [
    type,
    status,
    reason,
    ageOf(lastTransitionTime, nowMs),
    ageOf(lastHeartbeatTime, nowMs),
    message.split('\n', 1)[0] ?? '', // the rest, such as lines of a log, stands under Message
  ]);
  return (
    heading(screen, 'Conditions') + renderTable(['TYPE', 'STATUS', 'REASON', 'SINCE', 'SAMPLED', 'MESSAGE'], rows, screen, { indent: '  ' })
  );
}
