/** caractrl logs: what the services of a Project have written, and write. */
import { parseSince, SINCE_EXPECTS } from '../../api/since.ts';
import type { ProjectObject } from '../../api/project.ts';
import { defineCommand, flag, text, type CommandContext } from '../command.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import { createLogPrinter } from '../logs/log-printer.ts';
import { readSource } from '../logs/log-source.ts';
import { mergeLogs } from '../logs/merge-logs.ts';

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Show what services have written, and follow what they write',
  args: 'PROJECT[/SERVICE]',
  options: {
    follow: flag('then show each line as it is written, until Ctrl-C: through restarts, updates and moves', { short: 'f' }),
    tail: text('lines', 'only so many of the last lines of each service'),
    since: text('time', `only what was written since: ${SINCE_EXPECTS}`),
    timestamps: flag('put the time before each line', { short: 't' }),
    previous: flag('what was written before the container was started last, or replaced, as after a crash or an update', { short: 'p' }),
  },
  examples: [
    { command: 'caractrl logs shop/web', does: 'all that one service has written' },
    { command: 'caractrl logs shop -f --tail 20', does: 'every service of a Project, the last 20 lines each and then as they come' },
    { command: 'caractrl logs shop/db --since 10m --timestamps', does: 'lately, with times' },
    { command: 'caractrl logs shop/web --previous', does: 'what it said before it crashed' },
  ],
  run: async (context, args, options) => {
    const { project, service } = readTarget(args);
    const tail = readTail(options.tail);
    checkSince(context, options.since);
    if (options.follow && options.previous) {
      throw new UsageError('Cannot follow what has ended: leave out --follow or --previous');
    }
    const client = await context.connect();
    const services = chooseServices(await client.projects.get(project, context.signal), service);
    const sources = services.map((name) =>
      readSource(
        {
          client: client.logs,
          clock: context.clock,
          random: context.random,
          query: {
            project,
            service: name,
            follow: options.follow,
            ...(tail !== undefined && { tail }),
            ...(options.since !== undefined && { since: options.since }),
            ...(options.previous && { previous: true }),
          },
        },
        context.signal,
      ),
    );
    const print = createLogPrinter({ io: context.io, services, hasTimes: options.timestamps });
    for await (const event of mergeLogs(sources)) {
      print(event);
      await context.io.stdout.hasRoom?.(context.signal);
      await context.io.stderr.hasRoom?.(context.signal);
    }
    return 0;
  },
});

function readTarget(args: readonly string[]): { readonly project: string; readonly service: string | undefined } {
  const [first, second, ...rest] = args;
  if (first === undefined || first === '') {
    throw new UsageError('Cannot tell whose logs to show as no Project is named', { hint: 'caractrl logs PROJECT/SERVICE' });
  }
  const [project = '', service, ...more] = [...first.split('/'), ...(second === undefined ? [] : [second])];
  if (rest.length > 0 || more.length > 0 || project === '' || service === '') {
    throw new UsageError(`Cannot show the logs of ${args.join(' ')} as it must be PROJECT or PROJECT/SERVICE`, {
      hint: 'caractrl logs PROJECT/SERVICE',
    });
  }
  return { project, service };
}

function readTail(tail: string | undefined): number | undefined {
  if (tail === undefined || tail === 'all') {
    return undefined;
  }
  if (!/^\d{1,6}$/u.test(tail)) {
    throw new UsageError(`Cannot use --tail ${JSON.stringify(tail)} as it must be a whole number up to 999999, or all`);
  }
  return Number(tail);
}

function checkSince({ clock }: CommandContext, since: string | undefined): void {
  if (since !== undefined && parseSince(since, clock.wallMs()) === undefined) {
    throw new UsageError(`Cannot use --since ${JSON.stringify(since)} as it must be ${SINCE_EXPECTS}`);
  }
}

function chooseServices({ metadata, spec }: ProjectObject, service: string | undefined): readonly string[] {
  const names = spec.services.map(({ name }) => name);
  if (service === undefined) {
    return names;
  }
  if (!names.includes(service)) {
    throw new CtlError(`Cannot find service ${JSON.stringify(service)} in project ${JSON.stringify(metadata.name)}`, {
      hint: `its services are ${names.join(', ')}`,
    });
  }
  return [service];
}
