/** Sets `spec.unschedulable` of nodes and says what that did. Callers: commands/cordon.ts, commands/uncordon.ts, commands/drain.ts. */
import type { CommandContext } from './command.ts';
import { UsageError } from './ctl-error.ts';
import { renderDocument, toDocument } from './output/document.ts';
import { findType } from './resource-type.ts';
import { notFound } from './resource-view.ts';

export async function cordonNodes(
  { connect, io, output = 'table', signal }: CommandContext,
  args: readonly string[],
  { verb, unschedulable }: { readonly verb: 'cordon' | 'uncordon'; readonly unschedulable: boolean },
): Promise<number> {
  const names = readNodeNames(args, verb);
  const client = await connect();
  const nodes = [];
  for (const name of names) {
    const before = await client.nodes.find(name, signal);
    if (before === undefined) {
      throw notFound('node', name);
    }
    const isDone = before.spec.unschedulable === unschedulable;
    nodes.push(isDone ? before : await client.nodes.patch(name, { spec: { unschedulable } }, signal));
    if (output === 'table' || output === 'wide') {
      io.stdout.write(`node/${name} ${isDone ? 'already ' : ''}${verb}ed\n`);
    }
  }
  if (output === 'name') {
    io.stdout.write(names.map((name) => `node/${name}\n`).join(''));
  } else if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, toDocument(nodes, { isSingle: names.length === 1, listKind: 'NodeList' })));
  }
  return 0;
}

/** NODE..., or node/NODE, or node NODE. @throws {UsageError} */
export function readNodeNames(args: readonly string[], verb: string): readonly string[] {
  const names = args.map((arg) => {
    const [type, name] = arg.split('/', 2);
    if (name === undefined) {
      return arg;
    }
    if (findType(type ?? '') !== 'node') {
      throw new UsageError(`Cannot ${verb} ${arg} as only nodes can be ${verb}ed`);
    }
    return name;
  });
  const [first] = names;
  const rest = first !== undefined && names.length > 1 && ['node', 'nodes', 'no'].includes(first) ? names.slice(1) : names;
  if (rest.length === 0) {
    throw new UsageError(`Cannot tell which node to ${verb} as no name is given`, { hint: `caractrl ${verb} NODE` });
  }
  return [...new Set(rest)];
}
