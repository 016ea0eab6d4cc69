/** Sets and removes labels or annotations. Callers: commands/label.ts, commands/annotate.ts. */
import { LABEL_KEY, LABEL_VALUE, matches } from '../api/names.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './ctl-error.ts';
import { renderDocument, toDocument } from './output/document.ts';
import { readNamedSelections } from './resource-type.ts';
import { notFound, resourceOf, type AnyObject } from './resource-view.ts';

export interface MetadataVerb {
  readonly verb: 'label' | 'annotate';
  readonly field: 'labels' | 'annotations';
}

export async function changeMetadata(context: CommandContext, args: readonly string[], { verb, field }: MetadataVerb): Promise<number> {
  const { connect, io, output = 'table', signal } = context;
  const { targets, changes } = splitArguments(args, verb);
  const selections = readNamedSelections(targets, verb);
  const client = await connect();
  const objects: AnyObject[] = [];
  for (const { type, names } of selections) {
    const resource = resourceOf(client, type);
    for (const name of names) {
      const before = await resource.find(name, signal);
      if (before === undefined) {
        throw notFound(type, name);
      }
      const isDone = Object.entries(changes).every(([key, value]) => (before.metadata[field][key] ?? null) === value);
      objects.push(isDone ? before : await resource.patch(name, { metadata: { [field]: changes } }, signal));
      if (output === 'table' || output === 'wide') {
        io.stdout.write(`${type}/${name} ${isDone ? 'unchanged' : `${verb}${verb === 'label' ? 'ed' : 'd'}`}\n`);
      } else if (output === 'name') {
        io.stdout.write(`${type}/${name}\n`);
      }
    }
  }
  if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, toDocument(objects, { isSingle: true, listKind: 'List' })));
  }
  return 0;
}

/** `KEY=VALUE` sets, `KEY-` removes (null in a merge patch); what comes before the first of them says of what. */
function splitArguments(
  args: readonly string[],
  verb: MetadataVerb['verb'],
): { readonly targets: readonly string[]; readonly changes: Readonly<Record<string, string | null>> } {
  const start = args.findIndex((arg) => arg.includes('=') || arg.endsWith('-'));
  if (start === -1) {
    throw new UsageError(`Cannot tell what to ${verb} as no KEY=VALUE or KEY- is given`, {
      hint: `caractrl ${verb} node worker-01 zone=ed312`,
    });
  }
  const changes = Object.fromEntries(args.slice(start).map((arg) => readChange(arg, verb)));
  return { targets: args.slice(0, start), changes };
}

function readChange(arg: string, verb: MetadataVerb['verb']): readonly [key: string, value: string | null] {
  const equals = arg.indexOf('=');
  if (equals === -1 && !arg.endsWith('-')) {
    throw new UsageError(`Cannot read ${JSON.stringify(shorten(arg))} as it must be KEY=VALUE or KEY-`);
  }
  const key = equals === -1 ? arg.slice(0, -1) : arg.slice(0, equals);
  const value = equals === -1 ? null : arg.slice(equals + 1);
  if (!matches(LABEL_KEY, key)) {
    throw new UsageError(`Cannot use the key ${JSON.stringify(shorten(key))} as it must be ${LABEL_KEY.expects}`);
  }
  if (verb === 'label' && value !== null && !matches(LABEL_VALUE, value)) {
    throw new UsageError(`Cannot use the value ${JSON.stringify(shorten(value))} of ${key} as it must be ${LABEL_VALUE.expects}`);
  }
  return [key, value];
}

const SHOWN_CHARACTERS = 100;

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
