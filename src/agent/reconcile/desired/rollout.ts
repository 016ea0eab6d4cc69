/**
 * Rollout: which version of a Project is to run: the one that the spec asks for, or the last good one where that has failed: pure.
 *
 * A version is all that makes the Project's containers what they are. It is good once every service of it was ready for a while, and
 * given up where a service of it fails before that. What was given up is not tried again until what is asked for becomes another
 * version: a corrected spec or Secret, or a restart.
 */
import { createHash } from 'node:crypto';
import type { ProjectObject, ProjectSpec, ProjectStatus } from '../../../api/project.ts';
import { canonicalJson } from './config-hash.ts';
import type { DesiredProject } from '../desired.ts';
import type { Failure } from '../failure.ts';

/** ms for which a service without a health check must run before it counts as up to date, and takes over from the version before. */
export const PROOF_MS = 3000;

/** What makes containers what they are; the rest of a spec counts as it is now, whatever version runs. */
export interface VersionParts {
  readonly spec: Pick<ProjectSpec, 'services' | 'volumes' | 'imagePullSecrets'>;
  readonly secrets?: ProjectStatus['secrets'];
  readonly restarts?: ProjectStatus['restarts'];
}

export interface GoodVersion extends VersionParts {
  readonly generation: number;
  /** service -> id of the image that it runs */
  readonly images: Readonly<Record<string, string>>;
}

/** A version that was given up. */
export interface FailedVersion {
  readonly version: string;
  readonly generation: number;
  readonly message: string;
}

export interface RolloutRecord {
  readonly good?: GoodVersion;
  readonly failed?: FailedVersion;
}

/** Where records outlive the agent. */
export interface RolloutStore {
  /** @param uid of the Project */
  find(uid: string): RolloutRecord | undefined;
  put(uid: string, record: RolloutRecord): void;
}

/** What the plan needs to know of it. */
export interface Rollout {
  /** The version that the spec asks for. */
  readonly version: string;
  /** The last good one; its generation is what the server is told. */
  readonly good: { readonly version: string; readonly generation: number; readonly desired: DesiredProject } | undefined;
  /** Set while the good one is kept up as this one was given up. */
  readonly failed: FailedVersion | undefined;
}

/** For tests, and where nothing outlives the agent. */
export function createRolloutMemory(): RolloutStore {
  const records = new Map<string, RolloutRecord>();
  return { find: (uid) => records.get(uid), put: (uid, record) => void records.set(uid, record) };
}

/** Names the version: equal for two specs that make the same containers. */
export function versionOf({ services }: DesiredProject): string {
  const text = canonicalJson(services.map(({ name, configHash }) => `${name} ${configHash}`).toSorted());
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

export function partsOf({ spec, status }: ProjectObject): VersionParts {
  const { services, volumes, imagePullSecrets } = spec;
  return {
    spec: { services, ...(volumes !== undefined && { volumes }), ...(imagePullSecrets !== undefined && { imagePullSecrets }) },
    ...(status.secrets !== undefined && { secrets: status.secrets }),
    ...(status.restarts !== undefined && { restarts: status.restarts }),
  };
}

/** The Project as it would be with another version of its containers. */
export function withVersion(project: ProjectObject, { spec, secrets, restarts }: VersionParts): ProjectObject {
  const { services: _services, volumes: _volumes, imagePullSecrets: _pullSecrets, ...rest } = project.spec;
  const { secrets: _secrets, restarts: _restarts, ...status } = project.status;
  return {
    ...project,
    spec: { ...rest, ...spec },
    status: { ...status, ...(secrets !== undefined && { secrets }), ...(restarts !== undefined && { restarts }) },
  };
}

/** Has containers that are made anew made of the images that this version ran, whatever their tags mean by now. */
export function withKeptImages(desired: DesiredProject, images: GoodVersion['images']): DesiredProject {
  const services = desired.services.map((service) => {
    const keptImage = images[service.name];
    return keptImage === undefined ? service : { ...service, keptImage };
  });
  return { ...desired, services };
}

/** Whether another version than the last good one is being brought up. */
export function isUpdating({ version, good, failed }: Rollout): boolean {
  return good !== undefined && failed === undefined && good.version !== version;
}

/** Whether the service is another one than in the last good version. */
export function isChanged(rollout: Rollout | undefined, service: { readonly name: string; readonly configHash: string }): boolean {
  return rollout !== undefined && isUpdating(rollout) && goodHash(rollout, service.name) !== service.configHash;
}

export function goodHash(rollout: Rollout | undefined, service: string): string | undefined {
  return rollout?.good?.desired.services.find(({ name }) => name === service)?.configHash;
}

/** What is told of a version that was given up. @param lines the last of the log of the container that failed */
export function describeFailed(
  { service, cause, lines }: { readonly service: string; readonly cause: Failure; readonly lines: readonly string[] },
  { generation, goodGeneration }: { readonly generation: number; readonly goodGeneration: number },
): string {
  const what =
    generation === goodGeneration
      ? `The change of generation ${generation} was rolled back`
      : `Generation ${generation} was rolled back to ${goodGeneration}`;
  const head = `${what} as service "${service}" failed: ${cause.message}`;
  return lines.length === 0 ? head : [head, 'The last lines of its log:', ...lines.map((line) => `  ${line}`)].join('\n');
}
