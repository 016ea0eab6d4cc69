/** The one service that a verb reaches into. Callers: commands/exec.ts, commands/port-forward.ts. */
import type { ProjectObject } from '../../api/project.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ServiceRef } from '../../client/reach-client.ts';
import { CtlError, UsageError } from '../ctl-error.ts';

export interface ServiceTarget {
  readonly project: string;
  /** undefined: the only one that the Project has */
  readonly service: string | undefined;
}

export interface TargetWords {
  /** what is done, as in "Cannot tell where to run a command" */
  readonly what: string;
  /** what to type */
  readonly usage: string;
}

/** Reads PROJECT/SERVICE, or PROJECT where it has one service. @throws {UsageError} */
export function readServiceTarget(text: string | undefined, { what, usage }: TargetWords): ServiceTarget {
  if (text === undefined || text === '') {
    throw new UsageError(`Cannot tell ${what} as no service is named`, { hint: usage });
  }
  const [project = '', service, ...more] = text.split('/');
  if (more.length > 0 || project === '' || service === '') {
    throw new UsageError(`Cannot tell ${what} as ${JSON.stringify(text)} is not PROJECT/SERVICE`, { hint: usage });
  }
  return { project, service };
}

/** @throws {ApiError} NotFound; {CtlError} where the Project has no such service, or several and none is named */
export async function findService(
  client: CaraClient,
  { project: name, service }: ServiceTarget,
  signal: AbortSignal,
): Promise<{ readonly ref: ServiceRef; readonly project: ProjectObject }> {
  const project = await client.projects.get(name, signal);
  const names = project.spec.services.map((one) => one.name);
  const chosen = service ?? (names.length === 1 ? names[0] : undefined);
  if (chosen === undefined) {
    throw new UsageError(`Cannot tell which service of project ${JSON.stringify(name)} is meant: it has ${names.join(', ')}`, {
      hint: `name one, such as ${name}/${names[0]}`,
    });
  }
  if (!names.includes(chosen)) {
    throw new CtlError(
      `Cannot find service ${JSON.stringify(chosen)} in project ${JSON.stringify(name)}: its services are ${names.join(', ')}`,
    );
  }
  return { ref: { project: name, service: chosen }, project };
}
