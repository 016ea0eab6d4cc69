/** All verbs, each loaded when it is needed: one module costs half a millisecond at start, and most verbs bring ten. */
import type { AnyCommand } from './command.ts';

/** verb -> its definition, in the order of the help */
const LOADERS: Readonly<Record<string, () => Promise<AnyCommand>>> = {
  get: async () => (await import('./commands/get.ts')).getCommand,
  describe: async () => (await import('./commands/describe.ts')).describeCommand,
  logs: async () => (await import('./commands/logs.ts')).logsCommand,
  top: async () => (await import('./commands/top.ts')).topCommand,
  exec: async () => (await import('./commands/exec.ts')).execCommand,
  'port-forward': async () => (await import('./commands/port-forward.ts')).portForwardCommand,
  apply: async () => (await import('./commands/apply.ts')).applyCommand,
  diff: async () => (await import('./commands/diff.ts')).diffCommand,
  create: async () => (await import('./commands/create.ts')).createCommand,
  delete: async () => (await import('./commands/delete.ts')).deleteCommand,
  cordon: async () => (await import('./commands/cordon.ts')).cordonCommand,
  uncordon: async () => (await import('./commands/uncordon.ts')).uncordonCommand,
  drain: async () => (await import('./commands/drain.ts')).drainCommand,
  move: async () => (await import('./commands/move.ts')).moveCommand,
  rollout: async () => (await import('./commands/rollout.ts')).rolloutCommand,
  extend: async () => (await import('./commands/extend.ts')).extendCommand,
  adopt: async () => (await import('./commands/adopt.ts')).adoptCommand,
  node: async () => (await import('./commands/node.ts')).nodeCommand,
  label: async () => (await import('./commands/label.ts')).labelCommand,
  annotate: async () => (await import('./commands/annotate.ts')).annotateCommand,
  events: async () => (await import('./commands/events.ts')).eventsCommand,
  simulate: async () => (await import('./commands/simulate.ts')).simulateCommand,
  login: async () => (await import('./commands/login.ts')).loginCommand,
  config: async () => (await import('./commands/config.ts')).configCommand,
  token: async () => (await import('./commands/token.ts')).tokenCommand,
  auth: async () => (await import('./commands/auth.ts')).authCommand,
  audit: async () => (await import('./commands/audit.ts')).auditCommand,
  completion: async () => (await import('./commands/completion.ts')).completionCommand,
  version: async () => (await import('./commands/version.ts')).versionCommand,
};

export function loadCommands(): Promise<readonly AnyCommand[]> {
  return Promise.all(Object.values(LOADERS).map((load) => load()));
}

/** The verb that the arguments probably name: a guess, as the value of an option may look like one. */
export async function loadLikelyCommand(argv: readonly string[]): Promise<AnyCommand | undefined> {
  const verb = argv.find((arg) => Object.hasOwn(LOADERS, arg));
  return verb === undefined ? undefined : LOADERS[verb]?.();
}
