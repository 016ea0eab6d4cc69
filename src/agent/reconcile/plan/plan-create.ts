/** Plans how the container of a service is made, once its image and the values of its Secrets are there: pure. */
import type { DesiredService } from '../desired.ts';
import type { Failure } from '../failure.ts';
import { act, type Doing, type Site } from './doing.ts';
import { findInvalid, hasValues } from '../desired/resolve-inputs.ts';
import { isChanged } from '../desired/rollout.ts';
import type { Step, StepOf } from '../steps.ts';

/** What is another than the service's own name and place on the network. */
export interface Placement {
  readonly name: string;
  readonly network: NonNullable<DesiredService['container']['network']>;
}

export function create(service: DesiredService, site: Site, placement?: Placement): Doing {
  const unprepared = prepare(service, site);
  if (unprepared !== undefined) {
    return unprepared;
  }
  if (!site.isPrepared && isChanged(site.rollout, service)) {
    return { state: 'Pending', message: 'Waiting until all that the change needs is there' };
  }
  if (site.network === undefined || !service.volumeNames.every((name) => site.volumes.has(name))) {
    return { state: 'Pending', message: site.network === undefined ? 'Waiting for its network' : 'Waiting for its volumes' };
  }
  const step = createStep(service);
  const spec = { ...step.spec, image: imageOf(service, site), ...(placement !== undefined && { network: placement.network }) };
  return act(site, { ...step, name: placement?.name ?? step.name, spec }, 'Creating');
}

export function createStep({ name, containerName, container: spec, inputs }: DesiredService): StepOf<'createContainer'> {
  return { kind: 'createContainer', service: name, name: containerName, spec, ...(inputs !== undefined && { inputs }) };
}

/** Asks for what a new container needs; undefined when all of it is there. */
export function prepare(service: DesiredService, site: Site): Doing | undefined {
  const blocking = service.volumeNames.map((name) => site.volumeFailures.get(name)).find((failure) => failure !== undefined);
  if (blocking !== undefined) {
    return { state: 'Failed', failure: blocking };
  }
  return readSecrets(service, site) ?? pullImage(service, site);
}

function imageOf({ keptImage, container: { image } }: DesiredService, { imageDigests }: Site): string {
  return keptImage !== undefined && imageDigests.has(keptImage) ? keptImage : image;
}

/**
 * Pulls what a new container needs; undefined when it is there. With Always one pull does for a container, also where making it takes
 * many tries: that it was done is known for as long as each plan asks.
 */
function pullImage(service: DesiredService, site: Site): Doing | undefined {
  const {
    pull,
    container: { image },
  } = service;
  if (imageOf(service, site) !== image) {
    return undefined;
  }
  const isThere = site.imageDigests.has(image);
  const isForced = pull.policy === 'Always';
  const step: Step = {
    kind: 'pullImage',
    image,
    ...(isForced && { isForced }),
    ...(pull.secrets.length > 0 && { secrets: pull.secrets }),
  };
  if (isThere && (!isForced || site.agenda.hasDone(step))) {
    if (isForced) {
      site.agenda.keep(step);
    }
    return undefined;
  }
  if (pull.policy === 'Never') {
    const message = `Cannot use image "${image}" as it is not on the node and its imagePullPolicy is Never: load it there, or set another policy`;
    return { state: 'Failed', failure: { reason: 'ImageNotPresent', message } };
  }
  const doing: Doing = pull.missing === undefined ? act(site, step, 'Pulling') : { state: 'Failed', failure: pull.missing };
  return isThere && doing.failure !== undefined ? { ...doing, failure: withLocalImage(doing.failure) } : doing;
}

/** Who built an image on the node and gave it no tag is asked for a registry that there is not. */
function withLocalImage({ reason, message }: Failure): Failure {
  return { reason, message: `${message}; the node has an image of this name, which imagePullPolicy: IfNotPresent would take` };
}

/** Reads the values that a new container needs; undefined when they are at hand and will do. */
export function readSecrets({ name, configHash, inputs, missing }: DesiredService, site: Site): Doing | undefined {
  if (missing !== undefined) {
    return { state: 'Failed', failure: missing };
  }
  if (inputs === undefined) {
    return undefined;
  }
  if (!hasValues(inputs, site.secrets)) {
    return act(site, { kind: 'readSecrets', service: name, configHash, inputs }, 'Pending');
  }
  const invalid = findInvalid(inputs, site.secrets);
  return invalid === undefined ? undefined : { state: 'Failed', failure: invalid };
}
