/** Laws of what is stored, whoever wrote it: numbers only grow, and what names a thing stays. */
import type { ProjectObject } from '../../../src/api/project.ts';
import type { StoredObject } from '../../../src/store/store.ts';
import type { Chronicle } from './chronicle.ts';

export function checkDocuments(chronicle: Chronicle, violate: (text: string) => void): void {
  const last = new Map<string, StoredObject>(); // kind and name -> as it is
  chronicle.onChange(({ change: { type, object } }) => {
    const key = `${object.kind} ${object.metadata.name}`;
    const before = last.get(key);
    if (type === 'DELETED') {
      last.delete(key);
      return;
    }
    last.set(key, object);
    const wrong = before === undefined ? undefined : findWrong(before, object);
    if (wrong !== undefined) {
      violate(`promise 4: ${key} ${wrong}`);
    }
  });
}

function findWrong(before: StoredObject, object: StoredObject): string | undefined {
  const [from, to] = [before.metadata, object.metadata];
  if (from.uid !== to.uid || from.createdAt !== to.createdAt) {
    return 'became another without being deleted';
  }
  if (Number(to.resourceVersion) <= Number(from.resourceVersion)) {
    return `went from version ${from.resourceVersion} to ${to.resourceVersion}`;
  }
  const grown = to.generation - from.generation;
  const hasNewSpec = JSON.stringify((before as ProjectObject).spec) !== JSON.stringify((object as ProjectObject).spec);
  if (grown !== (hasNewSpec ? 1 : 0)) {
    return `went from generation ${from.generation} to ${to.generation} with ${hasNewSpec ? 'another' : 'the same'} spec`;
  }
  if (from.deletedAt !== undefined && to.deletedAt !== from.deletedAt) {
    return 'is not to be deleted any more';
  }
  return object.kind === 'Project' ? findWrongStatus(before as ProjectObject, object as ProjectObject) : undefined;
}

function findWrongStatus({ status: before }: ProjectObject, { metadata, status }: ProjectObject): string | undefined {
  if (status.observedGeneration > metadata.generation) {
    return `shows generation ${status.observedGeneration} as seen where there is ${metadata.generation}`;
  }
  const isPlaced = status.nodeRef !== undefined && status.nodeRef !== before.nodeRef;
  if (status.assignment !== before.assignment + (isPlaced ? 1 : 0)) {
    return `went from ${before.nodeRef ?? 'no node'} to ${status.nodeRef ?? 'no node'} with assignment ${before.assignment} and ${status.assignment}`;
  }
  if (isPlaced && before.nodeRef !== undefined) {
    return `went from ${before.nodeRef} to ${status.nodeRef} at once`;
  }
  return before.phase === 'Terminating' && status.phase !== 'Terminating' && status.phase !== 'Terminated'
    ? `is ${status.phase} after it was Terminating`
    : undefined;
}
