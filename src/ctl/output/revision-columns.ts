/** The table of a Project's history. */
import type { ProjectRevision } from '../../api/project/revision.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';
import type { Tone } from './paint.ts';

const TONES: Readonly<Record<ProjectRevision['outcome'], Tone>> = {
  Good: 'good',
  Progressing: 'busy',
  RolledBack: 'bad',
  Failed: 'bad',
  Superseded: 'dim',
};

export const REVISION_COLUMNS: readonly Column<ProjectRevision>[] = [
  { header: 'REVISION', cell: ({ revision }) => String(revision) },
  { header: 'OUTCOME', cell: ({ outcome }) => ({ text: outcome, tone: TONES[outcome] }) },
  {
    header: 'NOW',
    cell: ({ isCurrent, isRunning }) => [isCurrent ? 'asked for' : '', isRunning ? 'runs' : ''].filter(Boolean).join(', ') || '-',
  },
  { header: 'AGE', cell: ({ createdAt }, nowMs) => ageOf(createdAt, nowMs) },
  { header: 'CHANGE-CAUSE', cell: ({ cause }) => cause },
];
