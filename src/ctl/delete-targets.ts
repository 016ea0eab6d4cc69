/** What `caractrl delete` is to remove: named, described by files, or selected by labels. Callers: commands/delete.ts. */
import { parseSelector } from '../api/selector.ts';
import type { CommandContext } from './command.ts';
import { CtlError, UsageError } from './ctl-error.ts';
import { pluralOf, readNamedSelections, readSelections, type ResourceType } from './resource-type.ts';
import { resourceOf } from './resource-view.ts';

export interface DeleteTarget {
  readonly type: ResourceType;
  readonly name: string;
}

export interface TargetOptions {
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly selector: string | undefined;
  readonly ignoreNotFound: boolean;
}

/** @throws {UsageError}; {CtlError} where labels select nothing, or a file cannot be read */
export async function readDeleteTargets(
  context: CommandContext,
  args: readonly string[],
  options: TargetOptions,
): Promise<readonly DeleteTarget[]> {
  const { filename, selector } = options;
  if (filename.length > 0 && args.length > 0) {
    throw new UsageError('Cannot take both names and -f: leave out one of them');
  }
  if (filename.length > 0 && selector !== undefined) {
    throw new UsageError('Cannot take both --selector and -f: leave out one of them');
  }
  if (filename.length > 0) {
    return projectsFirst(await readFiles(context, options));
  }
  return selector === undefined
    ? readNamedSelections(args, 'delete').flatMap(({ type, names }) => names.map((name) => ({ type, name })))
    : projectsFirst(await select(context, readSelectedTypes(args, selector), { ...options, selector }));
}

/** Their nodes are needed to stop them, and they use the Secrets. */
function projectsFirst(targets: readonly DeleteTarget[]): readonly DeleteTarget[] {
  return targets.toSorted((left, right) => Number(left.type !== 'project') - Number(right.type !== 'project'));
}

async function readFiles({ io, signal }: CommandContext, { filename, recursive }: TargetOptions): Promise<readonly DeleteTarget[]> {
  const { readSources } = await import('./manifest/manifest-source.ts');
  const sources = await readSources(filename, { isRecursive: recursive, io }, signal);
  const { readManifests } = await import('./manifest/manifest-file.ts');
  return readManifests(sources);
}

/** The types, each said: what deletes must not take more than was meant. @throws {UsageError} */
function readSelectedTypes(args: readonly string[], selector: string): readonly ResourceType[] {
  if (parseSelector(selector).length === 0) {
    throw new UsageError('Cannot delete by an empty --selector as that selects everything', {
      hint: 'name what is to go, or give labels, as in: caractrl delete projects -l team=web',
    });
  }
  if (args[0]?.toLowerCase() === 'all') {
    throw new UsageError('Cannot delete by labels from all types at once: name the types', {
      hint: `caractrl delete projects,secrets -l ${selector}`,
    });
  }
  const selections = readSelections(args, 'delete');
  if (selections.some(({ names }) => names.length > 0)) {
    throw new UsageError('Cannot both name resources and select them: leave out the names or --selector');
  }
  return selections.map(({ type }) => type);
}

async function select(
  { connect, signal }: CommandContext,
  types: readonly ResourceType[],
  { selector, ignoreNotFound }: TargetOptions & { readonly selector: string },
): Promise<readonly DeleteTarget[]> {
  const client = await connect();
  const targets: DeleteTarget[] = [];
  for (const type of types) {
    const { items } = await resourceOf(client, type).list({ labelSelector: selector }, signal);
    targets.push(...items.map(({ metadata }) => ({ type, name: metadata.name })));
  }
  if (targets.length === 0 && !ignoreNotFound) {
    throw new CtlError(`Cannot delete any ${types.map(pluralOf).join(' or ')} as none matches the labels ${selector}`, {
      hint: `caractrl get ${types.map(pluralOf).join(',')} --show-labels`,
    });
  }
  return targets;
}
