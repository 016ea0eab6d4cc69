/**
 * The machine that an agent runs on, as a name that stays the same while it is up, and that a copy of its disk does not have.
 *
 * Made of the kernel's boot id, and, for machines that share a kernel (containers, network namespaces), of the namespace of the network and
 * the folder that the agent keeps its data in. So it changes with each boot: which of the two it is only the server can tell, by whether
 * the machine of before is still heard.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';

/** @param bootId of the kernel; undefined: not known, and so the machine is not either @param id of the agent */
export function nameMachine(
  dataDir: string,
  { bootId, id }: { readonly bootId: string | undefined; readonly id: string },
): string | undefined {
  if (bootId === undefined) {
    return undefined;
  }
  const traits = [id, bootId, inodeOf('/proc/self/ns/net'), inodeOf(dataDir)];
  return createHash('sha256').update(traits.join('\n')).digest('hex').slice(0, 32);
}

function inodeOf(path: string): string {
  return String(statSync(path, { bigint: true, throwIfNoEntry: false })?.ino);
}
