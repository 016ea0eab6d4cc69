/** The one Project that a verb is about. Callers: commands/move.ts, commands/extend.ts. */
import { UsageError } from './ctl-error.ts';
import { findType } from './resource-type.ts';

export interface ProjectVerb {
  readonly verb: string;
  /** as in "only Projects can be moved" */
  readonly participle: string;
  /** what to type */
  readonly usage: string;
}

/** PROJECT, or project/PROJECT, or project PROJECT. @throws {UsageError} */
export function readProjectName(args: readonly string[], { verb, participle, usage }: ProjectVerb): string {
  const [type, name] =
    args.length === 1 && args[0]?.includes('/') === true ? args[0].split('/', 2) : args.length === 2 ? args : ['project', args[0]];
  if (name === undefined || name === '' || args.length > 2) {
    const message =
      args.length > 2 ? `Cannot ${verb} several Projects at once` : `Cannot tell which Project to ${verb} as no name is given`;
    throw new UsageError(message, { hint: usage });
  }
  if (findType(type ?? '') !== 'project') {
    throw new UsageError(`Cannot ${verb} ${args.join(' ')} as only Projects can be ${participle}`);
  }
  return name;
}
