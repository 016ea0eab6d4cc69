/** The options of a service as the engine wants them: pure. What is left out, false or empty leaves no trace, so that no hash depends on it. */
import { listPrivileges } from '../../../api/project/capabilities.ts';
import type { Service } from '../../../api/project.ts';
import { quantityToUnits } from '../../../api/quantity.ts';
import type { ContainerSpec, Labels } from '../../docker/docker-types.ts';
import type { Failure } from '../failure.ts';

/** The fields of a ContainerSpec that come from options of the service; labels and aliases are in `deriveNames`. */
export function deriveOptions(service: Service): Partial<ContainerSpec> {
  const { workingDir, user, hostname, stopSignal, shmSize, logging } = service;
  return {
    ...(workingDir !== undefined && { workingDir }),
    ...(user !== undefined && { user }),
    ...(hostname !== undefined && { hostname }),
    ...(stopSignal !== undefined && { stopSignal }),
    ...(service.extraHosts !== undefined && service.extraHosts.length > 0 && { extraHosts: service.extraHosts }),
    ...deriveRights(service),
    ...deriveMemory(service),
    ...(shmSize !== undefined && { shmSizeBytes: quantityToUnits(shmSize) }),
    ...(service.init === true && { hasInit: true }),
    ...(service.tty === true && { hasTty: true }),
    ...(logging !== undefined && Object.keys(logging).length > 0 && { log: toLog(logging) }),
  };
}

/** What configHash() does not see in a ContainerSpec, as most labels and the network are not of the service's asking. */
export interface ServiceNames {
  readonly labels?: Labels;
  readonly aliases?: readonly string[];
}

/** @returns undefined where the service asks for none */
export function deriveNames({ labels = {}, aliases = [] }: Service): ServiceNames | undefined {
  const hasLabels = Object.keys(labels).length > 0;
  return hasLabels || aliases.length > 0
    ? { ...(hasLabels && { labels }), ...(aliases.length > 0 && { aliases: [...new Set(aliases)].toSorted() }) }
    : undefined;
}

/** Whether this node's operator lets containers be as good as root on it, and what to call the node. */
export interface PrivilegePolicy {
  readonly isAllowed: boolean;
  readonly node: string;
}

/** Set where the service asks for more than the operator allows; without a policy nothing is. */
export function findPrivilegeFailure(service: Service, policy?: PrivilegePolicy): Failure | undefined {
  const privileges = policy?.isAllowed === true ? [] : listPrivileges(service);
  if (privileges.length === 0) {
    return undefined;
  }
  const node = policy === undefined ? 'this node' : `node "${policy.node}"`;
  const message = `Cannot start service "${service.name}" as the operator of ${node} does not allow ${privileges.join(' and ')}: set ALLOW_PRIVILEGED=true for cara-agent there, or take it out of the spec`;
  return { reason: 'PrivilegedNotAllowed', message };
}

function deriveRights({ capAdd = [], capDrop = [], privileged, readOnly, ulimits = {}, sysctls = {} }: Service): Partial<ContainerSpec> {
  const limits = Object.entries(ulimits);
  const settings = Object.entries(sysctls);
  return {
    ...(capAdd.length > 0 && { capAdd: toCapabilities(capAdd) }),
    ...(capDrop.length > 0 && { capDrop: toCapabilities(capDrop) }),
    ...(privileged === true && { isPrivileged: true }),
    ...(readOnly === true && { isRootReadOnly: true }),
    ...(limits.length > 0 && {
      ulimits: Object.fromEntries(limits.map(([name, limit]) => [name, typeof limit === 'object' ? limit : { soft: limit, hard: limit }])),
    }),
    ...(settings.length > 0 && { sysctls: Object.fromEntries(settings.map(([name, value]) => [name, String(value)])) }),
  };
}

/** Their order means nothing to the engine. */
function toCapabilities(names: readonly string[]): readonly string[] {
  return [...new Set(names.map((name) => name.replace(/^CAP_/u, '')))].toSorted();
}

function deriveMemory({ tmpfs = [] }: Service): Partial<ContainerSpec> {
  const folders = tmpfs.map(({ mountPath, size, mode }) => [
    mountPath,
    { ...(size !== undefined && { sizeBytes: quantityToUnits(size) }), ...(mode !== undefined && { mode }) },
  ]);
  return folders.length === 0 ? {} : { tmpfs: Object.fromEntries(folders) };
}

function toLog({ maxSize, maxFiles }: NonNullable<Service['logging']>): NonNullable<ContainerSpec['log']> {
  return { ...(maxSize !== undefined && { maxSizeBytes: quantityToUnits(maxSize) }), ...(maxFiles !== undefined && { maxFiles }) };
}
