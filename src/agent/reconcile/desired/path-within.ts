/** Paths of the host that containers mount: pure. */
import { posix } from 'node:path';
import type { ContainerSpec } from '../../docker/docker-types.ts';

/** Tells whether `path` is `folder` or lies below it, with every `..` followed; links are not: host-paths.ts does that. */
export function isWithin(folder: string, path: string): boolean {
  const relative = posix.relative(posix.normalize(folder), posix.normalize(path));
  return relative === '' || (relative !== '..' && !relative.startsWith('../'));
}

/** What of the host a container mounts. */
export function hostPathsOf({ mounts = [] }: Pick<ContainerSpec, 'mounts'>): readonly string[] {
  return mounts.filter(({ type }) => type === 'bind').map(({ source }) => source);
}
