/** What an agent says of an assignment that is no more is not taken: a status report is accepted only for one that stood while it was under way. */
import type { ProjectObject } from '../../../src/api/project.ts';
import type { World } from '../world/world.ts';
import type { Chronicle } from './chronicle.ts';

const LAG_MS = 15_000; // of several servers one reads what it last heard

interface Assigned {
  readonly assignment: number;
  readonly nodeRef: string | undefined;
  untilMs: number;
}

export function checkReports(world: World, chronicle: Chronicle, violate: (text: string) => void): void {
  const known = new Map<string, Assigned[]>(); // uid -> in order
  chronicle.onChange(({ atMs, change: { type, object } }) => {
    if (object.kind !== 'Project') {
      return;
    }
    const { metadata, status } = object as ProjectObject;
    const all = known.get(metadata.uid) ?? [];
    known.set(metadata.uid, all);
    const last = all.at(-1);
    const isSame = last?.assignment === status.assignment && last.nodeRef === status.nodeRef;
    if (last !== undefined && (!isSame || type === 'DELETED')) {
      last.untilMs = atMs;
    }
    if (type !== 'DELETED' && !isSame) {
      all.push({ assignment: status.assignment, nodeRef: status.nodeRef, untilMs: Infinity });
    }
  });
  world.answerListeners.add(({ from, method, path, status, body, askedAtMs }) => {
    const [, project] = /^\/api\/v1\/projects\/([^/]+)\/status$/u.exec(path) ?? [];
    if (project === undefined || method !== 'PATCH' || status !== 204 || !world.machines.has(from)) {
      return;
    }
    const { uid = '', assignment, phase = '' } = JSON.parse(body) as { uid?: string; assignment?: number; phase?: string };
    const sinceMs = askedAtMs - (world.database === undefined ? 0 : LAG_MS);
    const stood = (known.get(uid) ?? []).some((one) => one.assignment === assignment && one.nodeRef === from && one.untilMs >= sinceMs);
    if (!stood) {
      violate(`promise 8: ${from} was believed that ${project} is ${phase} by assignment ${assignment ?? 'none'}, which stood no more`);
    }
  });
}
