/**
 * Where HostPath volumes really lead: links are followed before a container is made or started, so that one that may write below an
 * allowed folder cannot lead the next out of it.
 *
 * The engine follows them anew when it mounts, so who changes a link in that very moment still wins; the operator's word on
 * what may be mounted is kept against everything short of that race.
 */
import { realpath } from 'node:fs/promises';
import { posix } from 'node:path';
import { isAbsence } from '../../base/file-error.ts';
import { StepError } from './failure.ts';
import { isWithin } from './desired/path-within.ts';

/** @throws {StepError} HostPathNotAllowed where a link leads out of the allowed folders */
export async function checkHostPaths(sources: readonly string[], allowed: readonly string[]): Promise<void> {
  if (sources.length === 0) {
    return;
  }
  const folders = await Promise.all(allowed.map(async (folder) => await resolveLinks(folder)));
  for (const source of sources) {
    const real = await resolveLinks(source);
    if (!folders.some((folder) => isWithin(folder, real))) {
      const message = `Cannot mount ${JSON.stringify(source)} as a link leads from there to ${JSON.stringify(real)}, outside the folders that this node's operator allows (${allowed.join(', ') || 'none'})`;
      throw new StepError('HostPathNotAllowed', message);
    }
  }
}

/** The path with all links followed; of what does not exist, those of what is above it. */
async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const parent = posix.dirname(path);
    if (!isAbsence(error) || parent === path) {
      throw error;
    }
    return posix.join(await resolveLinks(parent), posix.basename(path));
  }
}
