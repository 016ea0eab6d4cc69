/**
 * Names and labels of what the agent makes in Docker: pure, both ways.
 *
 * "_" separates the parts because no Project, service or volume name can hold one, so that no two things share a name.
 * Labels are the truth about what is ours; names only keep two copies from standing beside each other.
 */
import { createHash } from 'node:crypto';
import type { Labels } from './docker-types.ts';

const PREFIX = 'cara';
const SEPARATOR = '_';
const MAX_VOLUME_NAME = 255; // bytes; the engine makes a folder of it

export const LABEL = {
  cluster: 'caravanserai.io/cluster',
  project: 'caravanserai.io/project',
  projectUid: 'caravanserai.io/project-uid',
  service: 'caravanserai.io/service',
  assignment: 'caravanserai.io/assignment',
  configHash: 'caravanserai.io/config-hash',
  healthCheck: 'caravanserai.io/health-check',
  volume: 'caravanserai.io/volume',
  volumeType: 'caravanserai.io/volume-type',
  /** When a volume was made: the engine's own word moves with what is written into it (20.10). */
  madeAt: 'caravanserai.io/made-at',
} as const;

/** Whose a container, network or volume is. */
export interface Owner {
  readonly cluster: string;
  readonly project: string;
  readonly projectUid: string;
  /** Number of the assignment under which it was made. */
  readonly assignment: number;
}

export interface ContainerOwner extends Owner {
  readonly service: string;
  readonly configHash: string;
}

export interface VolumeOwner extends Owner {
  readonly volume: string;
  /** `Ephemeral` or `Managed`; a string here, as it is read back from labels of any age. */
  readonly volumeType: string;
}

export function networkName(project: string): string {
  return [PREFIX, project].join(SEPARATOR);
}

export function containerName(project: string, service: string): string {
  return [PREFIX, project, service].join(SEPARATOR);
}

/** A new version of a service while the one before still has the name. One part more than any name of a service. */
export function nextContainerName(project: string, service: string): string {
  return [containerName(project, service), 'next'].join(SEPARATOR);
}

/** The version before, stopped and kept until the new one is ready. */
export function previousContainerName(project: string, service: string): string {
  return [containerName(project, service), 'previous'].join(SEPARATOR);
}

/**
 * Volumes live in folders of their name, which may have 255 bytes: a longer name keeps its beginning and ends in a
 * digest behind a double separator, which no short name contains.
 */
export function volumeName(project: string, volume: string): string {
  const name = [PREFIX, project, volume].join(SEPARATOR);
  if (name.length <= MAX_VOLUME_NAME) {
    return name;
  }
  const tail = `${SEPARATOR}${SEPARATOR}${createHash('sha256').update(name).digest('hex')}`;
  return name.slice(0, MAX_VOLUME_NAME - tail.length) + tail;
}

/** The labels that all of a Project carries: what networks get, and the filter that finds everything of one Project. */
export function ownerLabels(owner: Owner): Labels {
  return {
    [LABEL.cluster]: owner.cluster,
    [LABEL.project]: owner.project,
    [LABEL.projectUid]: owner.projectUid,
    [LABEL.assignment]: String(owner.assignment),
  };
}

export function containerLabels(owner: ContainerOwner): Labels {
  return { ...ownerLabels(owner), [LABEL.service]: owner.service, [LABEL.configHash]: owner.configHash };
}

export function volumeLabels(owner: VolumeOwner): Labels {
  return { ...ownerLabels(owner), [LABEL.volume]: owner.volume, [LABEL.volumeType]: owner.volumeType };
}

/** The filter that finds what this cluster made, or what it made for one Project. */
export function clusterFilter(cluster: string, project?: string): Labels {
  return { [LABEL.cluster]: cluster, ...(project !== undefined && { [LABEL.project]: project }) };
}

/** Reads the owner back. @returns undefined when a label is missing or no such number: then it is not ours */
export function findOwner(labels: Labels): Owner | undefined {
  const { [LABEL.cluster]: cluster, [LABEL.project]: project, [LABEL.projectUid]: projectUid } = labels;
  const assignment = labels[LABEL.assignment];
  if (cluster === undefined || project === undefined || projectUid === undefined) {
    return undefined;
  }
  if (assignment === undefined || !/^[0-9]{1,15}$/u.test(assignment)) {
    return undefined;
  }
  return { cluster, project, projectUid, assignment: Number(assignment) };
}

export function findContainerOwner(labels: Labels): ContainerOwner | undefined {
  const owner = findOwner(labels);
  const { [LABEL.service]: service, [LABEL.configHash]: configHash } = labels;
  if (owner === undefined || service === undefined || configHash === undefined) {
    return undefined;
  }
  return { ...owner, service, configHash };
}

export function findVolumeOwner(labels: Labels): VolumeOwner | undefined {
  const owner = findOwner(labels);
  const { [LABEL.volume]: volume, [LABEL.volumeType]: volumeType } = labels;
  if (owner === undefined || volume === undefined || volumeType === undefined) {
    return undefined;
  }
  return { ...owner, volume, volumeType };
}

/** Reads a container's name back: `cara_shop_web` -> shop, web. @returns undefined when it is none of ours */
export function parseContainerName(name: string): { readonly project: string; readonly service: string } | undefined {
  const [prefix, project, service, ...rest] = name.split(SEPARATOR);
  if (prefix !== PREFIX || !project || !service || rest.length > 0) {
    return undefined;
  }
  return { project, service };
}
