/** The plan of a drain. */
import type { DrainPlan } from '../../api/project/drain.ts';
import type { OutputFormat } from '../command.ts';
import type { Screen } from '../io.ts';
import { renderDocument } from './document.ts';
import { renderTable } from './table.ts';

/** As a table: what becomes of each Project, and why. */
export function renderPlan({ node, projects }: DrainPlan, screen: Pick<Screen, 'hasColor'>): string {
  if (projects.length === 0) {
    return `No Projects are on ${node}\n`;
  }
  const tones = { Move: 'busy', Keep: 'bad', Wait: 'dim' } as const;
  const rows = projects.map(({ project, action, to, message }) => [project, { text: action, tone: tones[action] }, to ?? '-', message]);
  return renderTable(['PROJECT', 'ACTION', 'TO', 'WHY'], rows, screen);
}

/** For programs: the plan itself, or the names of those that move. */
export async function renderPlanAs(output: OutputFormat, plan: DrainPlan): Promise<string> {
  const isDocument = output === 'json' || output === 'yaml';
  const names = plan.projects.filter(({ action }) => action === 'Move').map(({ project }) => `project/${project}\n`);
  return isDocument ? renderDocument(output, plan) : names.join('');
}
