/**
 * Admission: whether a caller may make an object into what it would become. Asked inside of each read-decide-commit, so that nothing
 * changes between the look and the write.
 *
 * Beyond the scope of scope.ts: settings that come to root on a node need the right `privileged`, also where they were there before, as
 * whoever chooses the image chooses what runs with them; and a limited token gets at no Secret outside of its limit by using it.
 * Callers  http/routes/* hand it to the services.
 */
import { isGranted } from '../../api/access.ts';
import { listPrivileges } from '../../api/project/capabilities.ts';
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject, ProjectSpec } from '../../api/project.ts';
import { listSecretUses } from '../../api/project/secret-use.ts';
import type { Store, StoredObject } from '../../store/store.ts';
import { describeCaller, describeLimit, type Caller } from './caller.ts';
import { checkName, checkScope, isWithin, type Seen } from './scope.ts';

/** @param before undefined: it is created @param after undefined: it is deleted @throws {ApiError} Forbidden */
export type Admit = (before: Seen | undefined, after: Seen | undefined) => Promise<void>;

/** @returns undefined where everything is admitted */
export function createAdmit(caller: Caller, store: Pick<Store, 'get'>): Admit | undefined {
  if (caller.kind === 'Everyone' || (caller.kind === 'Person' && caller.role === 'admin' && caller.limit === undefined)) {
    return undefined;
  }
  return async (before, after) => {
    for (const object of [before, after]) {
      if (object !== undefined) {
        checkScope(caller, after === undefined ? 'delete' : before === undefined ? 'create' : 'change', object);
      }
    }
    const spec = after !== undefined && isProject(after) ? after.spec : undefined;
    if (after === undefined || spec === undefined || (before !== undefined && isProject(before) && before.spec === spec)) {
      return;
    }
    checkPrivileges(caller, after.metadata.name, spec);
    await checkSecrets(caller, spec, { store, project: after.metadata.name });
  };
}

function isProject(object: Seen): object is Seen & Pick<ProjectObject, 'spec'> {
  return object.kind === 'Project';
}

function checkPrivileges(caller: Caller, name: string, spec: ProjectSpec): void {
  const wanted = listProjectPrivileges(spec);
  const isAllowed = caller.kind === 'Person' && isGranted({ ...caller, isLimited: caller.limit !== undefined }, 'use', 'privileged');
  if (wanted.length > 0 && !isAllowed) {
    const errors = wanted.map(({ pointer, setting }) => ({ pointer, detail: `${setting} needs the right privileged` }));
    const words = wanted.map(({ setting }) => setting).join('; ');
    throw new ApiError(
      'Forbidden',
      `Cannot write project ${JSON.stringify(name)} as what comes to root on its node needs the right privileged, here ${words}: you are ${describeCaller(caller)}`,
      { errors },
    );
  }
}

/** What of a Project comes to root on the node that runs it, each with its place in the manifest. */
export function listProjectPrivileges({
  services,
  volumes = [],
}: ProjectSpec): readonly { readonly pointer: string; readonly setting: string }[] {
  const ofServices = services.flatMap((service, index) =>
    listPrivileges(service).map((setting) => ({ pointer: `/spec/services/${index}`, setting: `${setting} of service ${service.name}` })),
  );
  const ofVolumes = volumes.flatMap(({ name, type, path }, index) =>
    type === 'HostPath' ? [{ pointer: `/spec/volumes/${index}`, setting: `HostPath ${path ?? ''} of volume ${name}` }] : [],
  );
  return [...ofServices, ...ofVolumes];
}

async function checkSecrets(
  caller: Caller,
  spec: ProjectSpec,
  { store, project }: { readonly store: Pick<Store, 'get'>; readonly project: string },
): Promise<void> {
  if (caller.kind !== 'Person' || caller.limit === undefined) {
    return;
  }
  const { limit } = caller;
  for (const { name } of listSecretUses(spec)) {
    checkName(caller, `use in project ${JSON.stringify(project)}`, { kind: 'Secret', name });
    const secret = limit.requirements.length === 0 ? undefined : await store.get<StoredObject>('Secret', name);
    if (limit.requirements.length > 0 && (secret === undefined || !isWithin(limit, secret.metadata))) {
      throw new ApiError(
        'Forbidden',
        `Cannot use secret ${JSON.stringify(name)} in project ${JSON.stringify(project)} as your token is limited to ${describeLimit(limit)}, ` +
          `and ${secret === undefined ? 'there is no such secret yet: create it first' : 'that secret is not'}: you are ${describeCaller(caller)}`,
      );
    }
  }
}
