/** Of several servers one leads: what is the leader's to write, nobody else writes, whatever an ex-leader still believes. */
import type { ProjectObject } from '../../../src/api/project.ts';
import type { World } from '../world/world.ts';

export function checkLeader({ database }: World, violate: (text: string) => void): void {
  if (database === undefined) {
    return;
  }
  const assignments = new Map<string, number>(); // uid -> the latest
  database.onWrite = ({ object }, server) => {
    const leader = database.leadership?.server;
    if (object.kind === 'Node' && server !== leader) {
      violate(`promise 1: ${server} wrote node ${object.metadata.name} though ${leader ?? 'nobody'} leads`);
    }
    if (object.kind === 'Project') {
      const { metadata, status } = object as ProjectObject;
      if (status.assignment > (assignments.get(metadata.uid) ?? 0) && server !== leader) {
        violate(`promise 1: ${server} placed ${metadata.name} though ${leader ?? 'nobody'} leads`);
      }
      assignments.set(metadata.uid, status.assignment);
    }
  };
}
