/** When a service's image is pulled, and with what: pure. As in Kubernetes, but for one thing: what runs is never pulled anew for. */
import type { ProjectSpec, ProjectStatus, Service } from '../../../api/project.ts';
import { DOCKER_CONFIG_KEY } from '../../../api/docker-config.ts';
import { findRegistryAuth } from '../../images/registry-auth.ts';
import type { RegistryAuth } from '../../docker/docker-types.ts';
import { StepError, type Failure } from '../failure.ts';
import type { SecretValues } from '../secret-cache.ts';

export type PullPolicy = NonNullable<Service['imagePullPolicy']>;

/** A Secret with credentials of registries, as it was when the server last told. */
export interface PullSecret {
  readonly secret: string;
  readonly fingerprint: string;
}

export interface ImagePull {
  readonly policy: PullPolicy;
  /** In the order in which they are looked into. */
  readonly secrets: readonly PullSecret[];
  /** Set while no image can be pulled as a Secret is missing; one that is there will do. */
  readonly missing: Failure | undefined;
}

export function derivePull(service: Service, { imagePullSecrets = [] }: ProjectSpec, known: ProjectStatus['secrets'] = []): ImagePull {
  const used = imagePullSecrets.map(({ name }) => ({ name, found: known.find((secret) => secret.name === name) }));
  const lost = used.find(({ found }) => found?.fingerprint === undefined || found.missing === true);
  const message = `Cannot pull image "${service.image}" as Secret "${lost?.name}" of spec.imagePullSecrets does not exist: create it, as with caractrl create secret generic ${lost?.name} --type dockerconfigjson --from-file .dockerconfigjson=FILE`;
  return {
    policy: service.imagePullPolicy ?? defaultPolicy(service.image),
    secrets: used.map(({ name, found }) => ({ secret: name, fingerprint: found?.fingerprint ?? '' })),
    missing: lost && { reason: 'SecretNotFound', message },
  };
}

/** A tag that is meant to move is looked up anew; `latest` is what no tag means. */
function defaultPolicy(image: string): PullPolicy {
  const name = image.slice(image.lastIndexOf('/') + 1);
  return !name.includes('@') && (!name.includes(':') || name.endsWith(':latest')) ? 'Always' : 'IfNotPresent';
}

/** @throws {StepError} where a Secret is not at hand as it is meant to be, or holds no such credentials */
export function resolveAuth(
  image: string,
  secrets: readonly PullSecret[],
  values: ReadonlyMap<string, SecretValues>,
): RegistryAuth | undefined {
  const configs = secrets.map(({ secret, fingerprint }) => {
    const held = values.get(secret);
    if (held?.fingerprint !== fingerprint) {
      const message = `Cannot pull image "${image}" as Secret "${secret}" has just changed: waiting for the server to tell of it`;
      throw new StepError('SecretUnavailable', message);
    }
    const config = held.values.get(DOCKER_CONFIG_KEY);
    if (config === undefined) {
      const message = `Cannot pull image "${image}" as Secret "${secret}" of spec.imagePullSecrets has no key ${DOCKER_CONFIG_KEY}: make it one of type dockerconfigjson`;
      throw new StepError('SecretInvalid', message);
    }
    return config.bytes.toString('utf8');
  });
  return findRegistryAuth(configs, image);
}
