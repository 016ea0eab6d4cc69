/**
 * What a schema cannot say about a Project: references that must resolve, names that must be unique, choices that exclude each other.
 * Pure; returns every mistake, each with a JSON pointer.
 */
import { durationToMs } from '../duration.ts';
import type { FieldError } from '../errors.ts';
import { checkHealth } from './health-check-rules.ts';
import type { ProjectSpec, Service } from '../project.ts';
import { checkFence } from './project-fence-rules.ts';
import { checkFiles } from './project-file-rules.ts';
import { checkImage } from './image-rules.ts';
import { checkResources } from './resource-rules.ts';
import { checkServiceOptions } from './service-option-rules.ts';

/** All mistakes in a spec that fits the schema; `base` is the pointer of the spec in its document. */
export function checkProjectSpec(spec: ProjectSpec, base = '/spec'): readonly FieldError[] {
  return [
    ...duplicates(
      spec.services.map(({ name }, index) => [name, `${base}/services/${index}/name`]),
      'service',
    ),
    ...duplicates(
      (spec.volumes ?? []).map(({ name }, index) => [name, `${base}/volumes/${index}/name`]),
      'volume',
    ),
    ...checkHostPorts(spec, base),
    ...checkVolumes(spec, base),
    ...spec.services.flatMap((service, index) => checkService(spec, service, `${base}/services/${index}`)),
    ...checkCycles(spec, base),
    ...checkLifetime(spec, base),
    ...checkFence(spec, base),
  ];
}

function duplicates(named: readonly (readonly [name: string, pointer: string])[], what: string): readonly FieldError[] {
  const firstPointer = new Map<string, string>();
  const errors: FieldError[] = [];
  for (const [name, pointer] of named) {
    const first = firstPointer.get(name);
    if (first === undefined) {
      firstPointer.set(name, pointer);
    } else {
      errors.push({ pointer, detail: `names the ${what} ${JSON.stringify(name)} a second time: the first is ${first}` });
    }
  }
  return errors;
}

function checkHostPorts(spec: ProjectSpec, base: string): readonly FieldError[] {
  const ports = spec.services.flatMap((service, serviceIndex) =>
    (service.ports ?? []).flatMap(({ hostPort, protocol }, portIndex) =>
      hostPort === undefined
        ? []
        : [[`${hostPort}/${protocol ?? 'TCP'}`, `${base}/services/${serviceIndex}/ports/${portIndex}/hostPort`] as const],
    ),
  );
  return duplicates(ports, 'host port');
}

function checkVolumes(spec: ProjectSpec, base: string): readonly FieldError[] {
  return (spec.volumes ?? []).flatMap((volume, index) => {
    const pointer = `${base}/volumes/${index}/path`;
    if (volume.type === 'HostPath') {
      if (volume.path === undefined) {
        return [{ pointer, detail: 'is required for a volume of type HostPath: a folder on the node, such as /srv/media' }];
      }
      return isPlainPath(volume.path) ? [] : [{ pointer, detail: 'must be a plain path without "." or ".." parts' }];
    }
    return volume.path === undefined
      ? []
      : [{ pointer, detail: `goes with type HostPath alone: this volume is ${volume.type ?? 'Ephemeral'}` }];
  });
}

function isPlainPath(path: string): boolean {
  return !path.split('/').some((part) => part === '.' || part === '..');
}

function checkService(spec: ProjectSpec, service: Service, base: string): readonly FieldError[] {
  return [
    ...checkImage(service, base),
    ...checkEnv(service, base),
    ...checkMounts(spec, service, base),
    ...checkFiles(service, base),
    ...checkDependencies(spec, service, base),
    ...checkHealth(service, base),
    ...checkResources(service, base),
    ...checkServiceOptions(spec, service, base),
  ];
}

function checkEnv(service: Service, base: string): readonly FieldError[] {
  const env = service.env ?? [];
  return [
    ...duplicates(
      env.map(({ name }, index) => [name, `${base}/env/${index}/name`]),
      'variable',
    ),
    ...env.flatMap((variable, index) =>
      variable.value !== undefined && variable.valueFrom !== undefined
        ? [{ pointer: `${base}/env/${index}`, detail: 'has both value and valueFrom: keep one' }]
        : [],
    ),
  ];
}

function checkMounts(spec: ProjectSpec, service: Service, base: string): readonly FieldError[] {
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name));
  const mounts = service.volumeMounts ?? [];
  return [
    ...duplicates(
      mounts.map(({ mountPath }, index) => [mountPath, `${base}/volumeMounts/${index}/mountPath`]),
      'mount path',
    ),
    ...mounts.flatMap(({ name, mountPath }, index) => [
      ...(volumes.has(name)
        ? []
        : [
            {
              pointer: `${base}/volumeMounts/${index}/name`,
              detail: `names the volume ${JSON.stringify(name)} which spec.volumes does not have: ${listOf(volumes)}`,
            },
          ]),
      ...(mountPath !== '/' && isPlainPath(mountPath)
        ? []
        : [{ pointer: `${base}/volumeMounts/${index}/mountPath`, detail: 'must be a plain path below "/", without "." or ".." parts' }]),
    ]),
  ];
}

function checkDependencies(spec: ProjectSpec, service: Service, base: string): readonly FieldError[] {
  return (service.dependsOn ?? []).flatMap((dependency, index) => {
    const pointer = `${base}/dependsOn/${index}/service`;
    const target = spec.services.find(({ name }) => name === dependency.service);
    if (target === undefined) {
      const names = new Set(spec.services.map(({ name }) => name));
      return [
        { pointer, detail: `names the service ${JSON.stringify(dependency.service)} which this Project does not have: ${listOf(names)}` },
      ];
    }
    if (dependency.condition === 'Healthy' && target.healthCheck?.test?.[0] === 'NONE') {
      const detail = `waits until ${JSON.stringify(target.name)} is healthy, which has no health check by its test [NONE]: give it one, or wait for Started`;
      return [{ pointer: `${base}/dependsOn/${index}/condition`, detail }];
    }
    if (dependency.condition === 'Completed' && (target.restartPolicy ?? 'Always') === 'Always') {
      const detail = `waits until ${JSON.stringify(target.name)} has completed, which restartPolicy Always never lets it: give ${JSON.stringify(target.name)} restartPolicy OnFailure or Never`;
      return [{ pointer: `${base}/dependsOn/${index}/condition`, detail }];
    }
    return [];
  });
}

function listOf(names: ReadonlySet<string>): string {
  return names.size === 0 ? 'it has none' : `known are ${[...names].join(', ')}`;
}

/** Names one cycle of dependsOn, if there is one: a -> b -> a. */
function checkCycles(spec: ProjectSpec, base: string): readonly FieldError[] {
  const dependenciesOf = new Map<string, readonly string[]>();
  for (const { name, dependsOn = [] } of spec.services) {
    dependenciesOf.set(name, [...(dependenciesOf.get(name) ?? []), ...dependsOn.map(({ service }) => service)]);
  }
  const done = new Set<string>();
  const findCycle = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) {
      return [...path.slice(path.indexOf(name)), name];
    }
    if (done.has(name)) {
      return undefined;
    }
    for (const next of dependenciesOf.get(name) ?? []) {
      const cycle = findCycle(next, [...path, name]);
      if (cycle !== undefined) {
        return cycle;
      }
    }
    done.add(name);
    return undefined;
  };
  for (const [index, { name }] of spec.services.entries()) {
    const cycle = findCycle(name, []);
    if (cycle !== undefined) {
      return [
        {
          pointer: `${base}/services/${index}/dependsOn`,
          detail: `makes a circle in which no service can start first: ${cycle.join(' -> ')}`,
        },
      ];
    }
  }
  return [];
}

function checkLifetime(spec: ProjectSpec, base: string): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (spec.expireAt !== undefined && spec.ttl !== undefined) {
    errors.push({ pointer: `${base}/ttl`, detail: 'and expireAt exclude each other: keep one' });
  }
  if (spec.expireAt !== undefined && Number.isNaN(Date.parse(spec.expireAt))) {
    errors.push({ pointer: `${base}/expireAt`, detail: `is no date of the calendar: current value is ${JSON.stringify(spec.expireAt)}` });
  }
  if (spec.ttl !== undefined && durationToMs(spec.ttl) === 0) {
    errors.push({ pointer: `${base}/ttl`, detail: 'must be more than 0' });
  }
  return errors;
}
