/** caractrl exec: a command in a container of a service. */
import { hasReason } from '../../api/errors.ts';
import { defineCommand, flag, list, text, type CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../reach/detach-keys.ts';
import { runExecStreams } from '../reach/exec-streams.ts';
import { findService, readServiceTarget, type ServiceTarget } from '../reach/service-target.ts';
import { reportFailure } from '../report-failure.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ServiceRef } from '../../client/reach-client.ts';

const USAGE = 'caractrl exec -it PROJECT/SERVICE -- sh';
// as shells have it, and Docker
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

export const execCommand = defineCommand({
  name: 'exec',
  summary: 'Run a command in the container of a service',
  args: 'PROJECT/SERVICE -- COMMAND [ARGUMENT...]',
  rest: `put -- before the command, as in: ${USAGE} -c ls`,
  options: {
    stdin: flag('hand on what is typed, or piped into it', { short: 'i' }),
    tty: flag('give it a terminal, this one: every key is its own, Ctrl-C too', { short: 't' }),
    user: text('user', 'as this user of the container: a name or number, with :GROUP if need be', 'u'),
    workdir: text('folder', 'in this folder of the container', 'w'),
    env: list('name=value', 'with this variable set', 'e'),
    detachKeys: text('keys', `keys that leave it running and go [${DEFAULT_DETACH_KEYS}]; "" for none`),
  },
  examples: [
    { command: 'caractrl exec -it shop/web -- sh', does: 'a shell in the container, on this terminal; Ctrl-P Ctrl-Q leaves it running' },
    {
      command: 'caractrl exec shop/db -- pg_dump -U shop > shop.sql',
      does: 'what it writes as it is, its errors apart, and its exit code',
    },
    { command: 'caractrl exec -i shop/db -- psql -U shop < shop.sql', does: 'with a file as its input' },
  ],
  run: async (context, args, options) => {
    const target = readServiceTarget(args[0], { what: 'where to run a command', usage: USAGE });
    const command = args.slice(1);
    const { stdin: hasStdin, tty: hasTty, workdir: workingDir, user } = options;
    const detachKeys = parseDetachKeys(options.detachKeys ?? DEFAULT_DETACH_KEYS);
    check(command, options.env);
    const { io, signal } = context;
    const streams = io.openStreams();
    try {
      if (hasTty && hasStdin && !streams.isInputTerminal) {
        throw new UsageError('Cannot give it this terminal as standard input is none: leave out -t');
      }
      const client = await context.connect();
      const ref = await resolve(client, target, context);
      const size = () => ({ columns: io.stdout.columns, rows: io.stdout.rows });
      const request = { command, stdin: hasStdin, tty: hasTty, ...(hasTty && { size: size() }), user, workingDir, env: options.env };
      const stream = await client.reach.exec(ref, request, signal);
      const name = `${ref.project}/${ref.service}`;
      const end = await runExecStreams({ stream, streams, hasStdin, hasTty, detachKeys, size, name }, signal);
      if (end.kind === 'detached') {
        io.stderr.write(`\n${command[0]} runs on in ${name}\n`);
        return 0;
      }
      if (
        end.exitCode === 0 &&
        !end.hasWritten &&
        !hasStdin &&
        io.stdout.isTerminal &&
        /(?:^|\/)(?:ba|da|a|z)?sh$/u.test(command.join(' '))
      ) {
        io.stderr.write(`${command[0]} had nothing to read: to type to it, add -it\n`);
      }
      return end.exitCode;
    } catch (error) {
      if (!hasReason(error, 'NoSuchProgram', 'NotExecutable')) {
        throw error;
      }
      reportFailure(error, { stderr: io.stderr, output: context.output, env: {} });
      return error.reason === 'NoSuchProgram' ? NOT_FOUND : NOT_EXECUTABLE;
    } finally {
      streams.close();
    }
  },
});

function check(command: readonly string[], env: readonly string[]): void {
  if ((command[0] ?? '') === '') {
    throw new UsageError('Cannot tell what to run as no command is given', { hint: USAGE });
  }
  const wrong = env.find((variable) => !/^[^=]+=/u.test(variable));
  if (wrong !== undefined) {
    throw new UsageError(`Cannot use --env ${JSON.stringify(wrong)} as it must be NAME=VALUE`);
  }
}

/** One request less where the service is named: the server knows as well whether it is there. */
async function resolve(client: CaraClient, target: ServiceTarget, { signal }: CommandContext): Promise<ServiceRef> {
  const { project, service } = target;
  return service === undefined ? (await findService(client, target, signal)).ref : { project, service };
}
