/** No Project lands on a node that is cordoned or not Ready: as the store has it at the very version of the placement. */
import type { NodeObject } from '../../../src/api/node.ts';
import type { ProjectObject } from '../../../src/api/project.ts';
import type { Chronicle } from './chronicle.ts';

export function checkPlacement(chronicle: Chronicle, violate: (text: string) => void): void {
  const assignments = new Map<string, number>(); // uid -> the latest
  const nodes = new Map<string, readonly { readonly version: number; readonly node: NodeObject | undefined }[]>();
  chronicle.onChange(({ change: { type, version, object } }) => {
    if (object.kind === 'Node') {
      const known = nodes.get(object.metadata.name) ?? [];
      nodes.set(object.metadata.name, [...known.slice(-20), { version, node: type === 'DELETED' ? undefined : (object as NodeObject) }]);
    } else if (object.kind === 'Project' && type !== 'DELETED') {
      const { metadata, status } = object as ProjectObject;
      const before = assignments.get(metadata.uid) ?? 0;
      assignments.set(metadata.uid, status.assignment);
      if (status.assignment > before && status.nodeRef !== undefined) {
        checkOne(status.nodeRef, version, metadata.name);
      }
    }
  });

  /** Kinds are followed side by side, so what is not known of the node yet is left for the next placement. */
  function checkOne(name: string, version: number, project: string): void {
    const node = nodes.get(name)?.findLast((entry) => entry.version < version)?.node;
    if (node?.spec.unschedulable === true || node?.status.state === 'NotReady') {
      violate(`${project} was placed on ${name}, which is ${node.spec.unschedulable ? 'cordoned' : 'NotReady'}`);
    }
  }
}
