/** caractrl extend: more time for a Project that expires. */
import { DURATION, formatDuration, durationToMs } from '../../api/duration.ts';
import { hasReason } from '../../api/errors.ts';
import { deriveExpiry } from '../../api/project/expiry.ts';
import { matches } from '../../api/names.ts';
import type { ProjectObject } from '../../api/project.ts';
import { parseSince } from '../../api/since.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import { defineCommand, text, type CommandContext } from '../command.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { formatLongAge } from '../output/age.ts';
import { renderDocument } from '../output/document.ts';
import { readProjectName } from '../project-name.ts';
import { notFound } from '../resource-view.ts';

const USAGE = 'caractrl extend PROJECT DURATION';
const UNTIL_EXPECTS = 'an RFC 3339 time such as 2027-01-01T00:00:00Z';
const MAX_ATTEMPTS = 5; // when somebody else writes in between

/** How much more, or until when. */
type Extension = { readonly byMs: number } | { readonly untilMs: number };

export const extendCommand = defineCommand({
  name: 'extend',
  summary: 'Give a Project that expires more time',
  args: 'PROJECT [DURATION]',
  options: { until: text('time', 'until then, whatever it was; also for one that did not expire') },
  examples: [
    { command: 'caractrl extend preview-42 2h', does: 'its ttl or expireAt is two hours later' },
    { command: 'caractrl extend preview-42 --until 2027-01-01T00:00:00Z', does: 'it expires then' },
  ],
  run: async (context, args, { until }) => {
    if (until !== undefined && args.length > 1 && matches(DURATION, args.at(-1) ?? '')) {
      throw new UsageError('Cannot extend both by a duration and until a time: give one of them', { hint: USAGE });
    }
    const words = until === undefined ? args.slice(0, -1) : args;
    const extension = until === undefined ? readDuration(args) : readUntil(until, context.clock.wallMs());
    return extend(context, readProjectName(words, { verb: 'extend', participle: 'extended', usage: USAGE }), extension);
  },
});

function readDuration(args: readonly string[]): Extension {
  const last = args.at(-1);
  if (last === undefined || args.length < 2) {
    throw new UsageError(`Cannot tell ${last === undefined ? 'which Project to extend' : 'how much more time to give'}`, { hint: USAGE });
  }
  let byMs: number;
  try {
    byMs = durationToMs(last);
  } catch (error) {
    throw new UsageError(`Cannot use the duration ${JSON.stringify(last)} as it must have a unit, such as 300ms, 90s, 3m, 2h or 1h30m`, {
      cause: error,
      hint: USAGE,
    });
  }
  if (byMs === 0) {
    throw new UsageError('Cannot extend by nothing: give a duration of more than 0', { hint: USAGE });
  }
  return { byMs };
}

function readUntil(until: string, nowMs: number): Extension {
  const untilMs = until.includes('-') ? parseSince(until, nowMs) : undefined; // a duration would be one back from now
  if (untilMs === undefined) {
    throw new UsageError(`Cannot use the time ${JSON.stringify(until)} as it must be ${UNTIL_EXPECTS}`);
  }
  if (untilMs <= nowMs) {
    throw new UsageError(`Cannot extend until ${until} as that is over: it would be removed at once`, {
      hint: 'caractrl delete project NAME',
    });
  }
  return { untilMs };
}

async function extend(context: CommandContext, name: string, extension: Extension): Promise<number> {
  const { io, output = 'table', connect, clock, signal } = context;
  const project = await write(await connect(), { name, extension, signal });
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, project));
  } else if (output === 'name') {
    io.stdout.write(`project/${name}\n`);
  } else {
    const atMs = deriveExpiry(project)?.atMs ?? 0;
    io.stdout.write(`project/${name} extended: expires at ${toText(atMs)}, in ${formatLongAge(atMs - clock.wallMs())}\n`);
  }
  return 0;
}

/** Reads and writes at the version that was read, so that two who extend at once both count. */
async function write(
  client: CaraClient,
  { name, extension, signal }: { readonly name: string; readonly extension: Extension; readonly signal: AbortSignal },
): Promise<ProjectObject> {
  for (let attempt = 1; ; attempt += 1) {
    const project = await client.projects.find(name, signal);
    if (project === undefined) {
      throw notFound('project', name);
    }
    refuseLate(project);
    const { resourceVersion } = project.metadata;
    try {
      return await client.projects.patch(name, { metadata: { resourceVersion }, spec: deriveChange(project, extension) }, signal);
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !hasReason(error, 'Conflict')) {
        throw error;
      }
    }
  }
}

/** @throws {CtlError} for one that is being removed already: that cannot be taken back */
function refuseLate({ metadata, status }: ProjectObject): void {
  if (metadata.deletedAt === undefined) {
    return;
  }
  const why =
    status.reason === 'Expired' && status.message !== undefined ? lowerFirst(status.message) : `it was deleted at ${metadata.deletedAt}`;
  throw new CtlError(`Cannot extend project ${JSON.stringify(metadata.name)} as it is too late: ${why}, and it is being removed`, {
    hint: 'apply it again when it is gone; Managed volumes stay',
  });
}

/** The fields of spec that change; what it expires by stays what it was. @throws {CtlError} where it does not expire */
function deriveChange({ metadata, spec }: ProjectObject, extension: Extension): object {
  if ('untilMs' in extension) {
    return { expireAt: toText(extension.untilMs), ttl: null };
  }
  if (spec.ttl !== undefined) {
    return { ttl: formatDuration(durationToMs(spec.ttl) + extension.byMs) };
  }
  if (spec.expireAt !== undefined) {
    return { expireAt: toText(Date.parse(spec.expireAt) + extension.byMs) };
  }
  throw new CtlError(`Cannot extend project ${JSON.stringify(metadata.name)} as it does not expire: it has neither ttl nor expireAt`, {
    hint: `to have it expire: caractrl extend ${metadata.name} --until TIME`,
  });
}

function toText(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}

function lowerFirst(message: string): string {
  return message.slice(0, 1).toLowerCase() + message.slice(1);
}
