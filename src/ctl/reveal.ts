/** Puts values into Secrets that were read, where the user asked for them. Callers: commands/get.ts, commands/describe.ts. */
import type { CommandContext } from './command.ts';
import type { AnyObject } from './resource-view.ts';

/** @throws {ApiError} Forbidden for who may not see them */
export async function revealSecrets({ connect, signal }: CommandContext, objects: readonly AnyObject[]): Promise<readonly AnyObject[]> {
  const client = await connect();
  return await Promise.all(
    objects.map(async (object) => (object.kind === 'Secret' ? await client.secrets.reveal(object.metadata.name, signal) : object)),
  );
}
