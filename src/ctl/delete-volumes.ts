/** `caractrl delete volume NODE/NAME`: asks for the name, asks the server, and waits for how it ended. Callers: commands/delete.ts. */
import { formatDuration } from '../api/duration.ts';
import { ApiError, hasReason } from '../api/errors.ts';
import type { VolumeObject } from '../api/volume.ts';
import { confirmName } from './ask.ts';
import type { CommandContext } from './command.ts';
import { CtlError, UsageError } from './ctl-error.ts';
import { reportFailure } from './report-failure.ts';
import { nameOf, type VolumeName } from './volume-name.ts';

const LOOK_MS = 250; // until the agent has answered, which takes a second or two

export interface DeleteVolumesOptions {
  /** names repeated, in place of being asked for */
  readonly yes: readonly string[];
  readonly wait: boolean;
  /** ms; 0: no limit */
  readonly timeout: number;
  readonly force: boolean;
  readonly ignoreNotFound: boolean;
  readonly dryRun: boolean;
}

export async function deleteVolumes(context: CommandContext, names: readonly VolumeName[], options: DeleteVolumesOptions): Promise<number> {
  if (names.length === 0) {
    throw new UsageError('Cannot tell which volumes to delete as no name is given', { hint: 'caractrl delete volume NODE/NAME' });
  }
  if (options.force) {
    throw new UsageError('Cannot delete volumes by force: only their agent can remove them');
  }
  let failures = 0;
  for (const name of names) {
    try {
      await deleteOne(context, name, options);
    } catch (error) {
      const isOfThisOne =
        hasReason(error, 'NotFound', 'InUse', 'NodeNotReady', 'Forbidden') || (error instanceof CtlError && error.exitCode === 1);
      if (!isOfThisOne || names.length === 1) {
        throw error;
      }
      failures += 1;
      reportFailure(error, { stderr: context.io.stderr, output: context.output, env: {} });
    }
  }
  return failures === 0 ? 0 : 1;
}

async function deleteOne(context: CommandContext, name: VolumeName, options: DeleteVolumesOptions): Promise<void> {
  const { connect, signal } = context;
  const client = await connect();
  const volume = await client.volumes.find(name.node, name.name, signal);
  if (volume === undefined) {
    if (options.ignoreNotFound) {
      return;
    }
    throw new ApiError('NotFound', `volume ${JSON.stringify(nameOf(name))} not found`);
  }
  if (options.dryRun) {
    tell(context, name, `would be ${volume.status.inUse === true ? 'kept as it is in use' : 'deleted with its data'} (dry run)`);
    return;
  }
  await checkMeant(context, volume, options);
  const { status } = await client.volumes.delete(name.node, name.name, signal);
  if (!options.wait) {
    tell(context, name, 'is being deleted');
    return;
  }
  await waitUntilSettled(context, { name, id: status.deletion?.id, timeoutMs: options.timeout === 0 ? Infinity : options.timeout });
}

/** @throws {UsageError} where nobody can be asked; {CtlError} where the name typed is another */
async function checkMeant({ io, signal }: CommandContext, { status }: VolumeObject, { yes }: DeleteVolumesOptions): Promise<void> {
  const { node, name, project, type, inUse } = status;
  const accepted = [name, `${node}/${name}`];
  if (yes.some((word) => accepted.includes(word)) || inUse === true) {
    return; // what is in use the server refuses, with who uses it: nobody need type a name for that
  }
  const instead = `caractrl delete volume ${node}/${name} --yes ${name}`;
  if (yes.length > 0) {
    throw new UsageError(
      `Cannot delete volume ${JSON.stringify(`${node}/${name}`)} as --yes must repeat its name: current value is ${JSON.stringify(yes.join(', '))}`,
      {
        hint: instead,
      },
    );
  }
  io.stderr.write(`${type} volume ${name} of project ${project} on ${node} and all data in it will be gone for good.\n`);
  if (!(await confirmName(io, { question: `Type its name (${name}) to delete it:`, accepted, instead }, signal))) {
    throw new CtlError('Nothing was deleted as that is not the name');
  }
}

interface Settling {
  readonly name: VolumeName;
  readonly id: string | undefined;
  readonly timeoutMs: number;
}

/** The server ends every deletion by its deadline, so that this ends too. @throws {CtlError} with how it ended, unless the volume is gone */
async function waitUntilSettled(context: CommandContext, { name, id, timeoutMs }: Settling): Promise<void> {
  const { connect, clock, io, signal } = context;
  const client = await connect();
  const untilMs = clock.monotonicMs() + timeoutMs;
  try {
    while (clock.monotonicMs() < untilMs) {
      const volume = await client.volumes.find(name.node, name.name, signal).catch(unlessAway);
      const deletion = volume === 'away' ? undefined : volume?.status.deletion;
      if (volume === undefined || (volume !== 'away' && deletion?.id !== id)) {
        tell(context, name, 'deleted');
        return;
      }
      if (deletion?.state === 'Failed' || deletion?.state === 'Cancelled') {
        throw new CtlError(`Cannot delete volume ${JSON.stringify(nameOf(name))}: ${deletion.message ?? deletion.state}`);
      }
      await clock.sleep(LOOK_MS, signal);
    }
  } finally {
    if (signal.aborted) {
      io.stderr.write('Stopped waiting; the deletion goes on\n');
    }
  }
  throw new CtlError(
    `Cannot tell after ${formatDuration(timeoutMs)} whether volume ${JSON.stringify(nameOf(name))} is gone: the deletion goes on`,
    {
      hint: `caractrl get volume ${nameOf(name)} -o wide`,
    },
  );
}

function unlessAway(error: unknown): 'away' {
  if (error instanceof ApiError && error.isRetryable) {
    return 'away';
  }
  throw error;
}

function tell({ io, output = 'table' }: CommandContext, name: VolumeName, words: string): void {
  if (output === 'name') {
    io.stdout.write(`volume/${nameOf(name)}\n`);
  } else if (output !== 'json' && output !== 'yaml') {
    io.stdout.write(`volume/${nameOf(name)} ${words}\n`);
  }
}
