/** What a schema cannot say about the options of a service; pure. Callers: project-rules.ts. */
import type { FieldError } from '../errors.ts';
import type { ProjectSpec, Service } from '../project.ts';
import { quantityToUnits } from '../quantity.ts';
import { normalizePath } from './mount-path.ts';

const OWN_LABEL_PREFIX = 'caravanserai.io/';
const LEAST_LOG_BYTES = 4096; // below it the engine would rotate with every few lines

/** @param base the pointer of the service */
export function checkServiceOptions(spec: ProjectSpec, service: Service, base: string): readonly FieldError[] {
  return [
    ...checkReadOnly(service, base),
    ...checkTmpfs(service, base),
    ...checkNames(spec, service, base),
    ...checkExtraHosts(service, base),
    ...checkLimits(service, base),
    ...checkLabels(service, base),
  ];
}

/** Files are put into a container before it starts, which the engine refuses where its root is read-only. */
function checkReadOnly({ readOnly, files = [] }: Service, base: string): readonly FieldError[] {
  return readOnly === true && files.length > 0
    ? [{ pointer: `${base}/readOnly`, detail: 'does not go with files, which are put into the root file system: keep one of them' }]
    : [];
}

function checkTmpfs({ tmpfs = [], volumeMounts = [], files = [] }: Service, base: string): readonly FieldError[] {
  return tmpfs.flatMap(({ mountPath, size }, index) => {
    const pointer = `${base}/tmpfs/${index}/mountPath`;
    const path = normalizePath(mountPath);
    const errors: FieldError[] = [];
    if (path === '/' || path.split('/').some((part) => part === '.' || part === '..' || /[:,]/u.test(part))) {
      errors.push({ pointer, detail: 'must be a plain path below "/", without "." or ".." parts, ":" and ","' });
    }
    const first = tmpfs.findIndex((other) => normalizePath(other.mountPath) === path);
    if (first < index) {
      errors.push({ pointer, detail: `names the folder ${JSON.stringify(path)} a second time: the first is tmpfs/${first}` });
    }
    const volume = volumeMounts.find((mount) => normalizePath(mount.mountPath) === path);
    if (volume !== undefined) {
      errors.push({ pointer, detail: `must not be where a volume is: ${volume.name} is mounted at ${volume.mountPath}` });
    }
    const file = files.find((other) => other.mountPath.startsWith(`${path}/`) || other.mountPath === path);
    if (file !== undefined) {
      errors.push({ pointer, detail: `would hide the file ${file.mountPath} of this service` });
    }
    if (size !== undefined && quantityToUnits(size) === 0) {
      errors.push({ pointer: `${base}/tmpfs/${index}/size`, detail: 'must be more than 0: leave it out for no limit' });
    }
    return errors;
  });
}

/** A name that is another service's would reach now the one, now the other. */
function checkNames(spec: ProjectSpec, service: Service, base: string): readonly FieldError[] {
  return (service.aliases ?? []).flatMap((alias, index) =>
    spec.services.some(({ name }) => name === alias && name !== service.name)
      ? [{ pointer: `${base}/aliases/${index}`, detail: `is the name of another service, which it would be mixed up with: ${alias}` }]
      : [],
  );
}

function checkExtraHosts({ extraHosts = [] }: Service, base: string): readonly FieldError[] {
  return extraHosts.flatMap((line, index) => {
    const address = line.slice(line.indexOf(':') + 1);
    const detail = `must give an IP address or host-gateway after the name: current value is ${JSON.stringify(line)}`;
    return address === 'host-gateway' || isAddress(address) ? [] : [{ pointer: `${base}/extraHosts/${index}`, detail }];
  });
}

function isAddress(text: string): boolean {
  const parts = text.split('.');
  return text.includes(':')
    ? URL.canParse(`http://[${text}]`)
    : parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/u.test(part) && Number(part) < 256);
}

function checkLimits({ ulimits = {}, shmSize, logging }: Service, base: string): readonly FieldError[] {
  const errors: FieldError[] = Object.entries(ulimits).flatMap(([name, limit]) =>
    typeof limit === 'object' && toRank(limit.soft) > toRank(limit.hard)
      ? [{ pointer: `${base}/ulimits/${name}/soft`, detail: `must not be more than hard: ${limit.soft} asked, hard ${limit.hard}` }]
      : [],
  );
  if (shmSize !== undefined && quantityToUnits(shmSize) === 0) {
    errors.push({ pointer: `${base}/shmSize`, detail: 'must be more than 0' });
  }
  if (logging?.maxSize !== undefined && quantityToUnits(logging.maxSize) < LEAST_LOG_BYTES) {
    errors.push({ pointer: `${base}/logging/maxSize`, detail: `must be at least 4Ki: current value is ${logging.maxSize}` });
  }
  return errors;
}

/** -1 is no limit. */
function toRank(limit: number): number {
  return limit === -1 ? Infinity : limit;
}

function checkLabels({ labels = {} }: Service, base: string): readonly FieldError[] {
  return Object.keys(labels)
    .filter((key) => key.toLowerCase().startsWith(OWN_LABEL_PREFIX))
    .map((key) => ({
      pointer: `${base}/labels/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`,
      detail: `must not start with ${OWN_LABEL_PREFIX}, by which Caravanserai knows its own containers`,
    }));
}
