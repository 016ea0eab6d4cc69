/** `describe project`. */
import type { ProjectObject, Service, ServiceFile, ServiceStatus } from '../../api/project.ts';
import { deriveExpiry } from '../../api/project/expiry.ts';
import { explainPhase } from '../waiting/project-progress.ts';
import { formatLongAge, timeWithAge } from './age.ts';
import { metaFields, renderConditions, type DescribeView } from './describe-common.ts';
import { describeOptions } from './describe-options.ts';
import { paint, toneOf } from './paint.ts';
import { countReady } from './project-columns.ts';
import { toPrintable } from './printable.ts';
import { describeCheck, describeHealth, describeLastExit } from './describe-health.ts';
import { heading, pairs, renderFields, type Field } from './section.ts';

export function describeProject(project: ProjectObject, view: DescribeView): string {
  const { metadata, spec, status } = project;
  const { screen, nowMs } = view;
  const { action, after, fence } = spec.onNodeLost ?? {};
  return [
    renderFields(
      [
        { name: 'Name', value: metadata.name },
        { name: 'Phase', value: status.phase, tone: toneOf(status.phase) },
        { name: 'Reason', value: status.reason },
        { name: 'Message', value: withoutReason(explainPhase(project), status.reason) },
        { name: 'Runs', value: describeRunning(project) },
        { name: 'Node', value: status.nodeRef === undefined ? 'none' : `${status.nodeRef} (assignment ${status.assignment})` },
        { name: 'Moving', value: describeMove(project, nowMs) },
        { name: 'Ready', value: countReady(project) },
        { name: 'Missing secrets', value: listMissing(project), tone: 'bad' },
        { name: 'Up to date', value: describeUpToDate(project) },
        ...metaFields(metadata, nowMs),
        { name: 'Node selector', value: spec.nodeSelector === undefined ? undefined : pairs(spec.nodeSelector) },
        {
          name: 'On node lost',
          value:
            action === undefined
              ? undefined
              : `${action}${after === undefined ? '' : ` after ${after}`}${fence === true ? ', fenced' : ''}`,
        },
        { name: 'Expires', value: describeExpiry(project, nowMs) },
        {
          name: 'Volumes',
          value: spec.volumes?.map(({ name, type, path }) => `${name} (${type ?? 'Ephemeral'}${path === undefined ? '' : ` ${path}`})`),
        },
      ],
      screen,
    ),
    heading(screen, 'Services'),
    ...spec.services.map((service) =>
      describeService(
        service,
        status.services.find(({ name }) => name === service.name),
        view,
      ),
    ),
    renderConditions(status.conditions, view),
  ].join('');
}

function describeUpToDate({ metadata, status }: ProjectObject): string {
  if (status.observedGeneration < metadata.generation) {
    return `no: generation ${status.observedGeneration} of ${metadata.generation} was acted on`;
  }
  return status.reason === 'RolledBack' ? `no: generation ${metadata.generation} was tried and rolled back` : 'yes';
}

/** Which revision runs, where that is another than is asked for. */
function describeRunning({ metadata, status }: ProjectObject): string | undefined {
  const { goodGeneration } = status;
  return goodGeneration === undefined || goodGeneration === metadata.generation
    ? undefined
    : `revision ${goodGeneration}, while ${metadata.generation} is asked for, whose settings are shown below`;
}

function describeExpiry(project: ProjectObject, nowMs: number): string | undefined {
  const { ttl } = project.spec;
  const expiry = deriveExpiry(project);
  if (expiry === undefined) {
    return undefined;
  }
  const when = expiry.atMs > nowMs ? `in ${formatLongAge(expiry.atMs - nowMs)}` : 'now';
  return `${new Date(expiry.atMs).toISOString()} (${when}${ttl === undefined ? '' : `; ttl ${ttl}`})`;
}

/** A move that was asked for and has not found its end. */
function describeMove({ status: { move } }: ProjectObject, nowMs: number): string | undefined {
  return move && `from ${move.from} to ${move.to ?? 'another node'}, asked for at ${timeWithAge(move.requestedAt, nowMs)}`;
}

/** The reason has a line of its own. */
function withoutReason(message: string | undefined, reason: string | undefined): string | undefined {
  return message?.startsWith(`${reason}: `) === true ? message.slice(`${reason}: `.length) : message;
}

function describeService(service: Service, status: ServiceStatus | undefined, { screen, nowMs }: DescribeView): string {
  const state = status?.state ?? 'Pending';
  const image = status?.image === undefined || status.image === service.image ? service.image : `${service.image} (runs ${status.image})`;
  const ports = (status?.ports ?? service.ports ?? []).map(
    ({ containerPort, hostPort, protocol }) =>
      `${hostPort === undefined ? '' : `${hostPort}->`}${containerPort}/${(protocol ?? 'TCP').toLowerCase()}`,
  );
  const fields: readonly Field[] = [
    { name: 'State', value: `${state}${status?.ready === true ? ', ready' : ''}`, tone: toneOf(state) },
    { name: 'Message', value: status?.message },
    { name: 'Image', value: image },
    { name: 'Digest', value: status?.imageDigest },
    { name: 'Container', value: status?.containerId?.slice(0, 12) },
    { name: 'Started', value: status?.startedAt === undefined ? undefined : timeWithAge(toMilliseconds(status.startedAt), nowMs) },
    { name: 'Restarts', value: String(status?.restarts ?? 0) },
    { name: 'Exit code', value: status?.exitCode === undefined ? undefined : String(status.exitCode) },
    { name: 'Last exit', value: status?.lastExit && describeLastExit(status.lastExit, nowMs) },
    { name: 'Health', value: status?.health && describeHealth(status.health), tone: toneOf(status?.health?.state ?? '') },
    { name: 'Health check', value: service.healthCheck && describeCheck(service.healthCheck) },
    { name: 'Ports', value: ports.length === 0 ? undefined : ports.join(', ') },
    { name: 'Command', value: [...(service.entrypoint ?? []), ...(service.command ?? [])].map(quote).join(' ') || undefined },
    { name: 'Resources', value: describeResources(service) },
    { name: 'Needs', value: service.dependsOn?.map(({ service: name, condition }) => `${name} ${condition ?? 'Started'}`).join(', ') },
    {
      name: 'Mounts',
      value: service.volumeMounts?.map(
        ({ name, mountPath, readOnly }) => `${name} at ${mountPath}${readOnly === true ? ' (read-only)' : ''}`,
      ),
    },
    { name: 'Environment', value: describeEnvironment(service) },
    { name: 'Files', value: service.files?.map(describeFile) },
    { name: 'Options', value: describeOptions(service) },
  ];
  return `  ${paint(screen, 'strong', toPrintable(service.name))}\n${renderFields(fields, screen, '    ')}`;
}

/** An engine's times have nanoseconds. */
function toMilliseconds(time: string): string {
  return time.replace(/(\.\d{3})\d+/u, '$1');
}

function describeResources({ resources: { requests, limits } = {} }: Service): readonly string[] | undefined {
  const list = (amounts: object): string =>
    Object.entries(amounts)
      .map(([name, amount]) => `${name}=${amount}`)
      .join(', ');
  const lines = [
    ...(requests === undefined ? [] : [`asks for ${list(requests)}`]),
    ...(limits === undefined ? [] : [`is limited to ${list(limits)}`]),
  ];
  return lines.length === 0 ? undefined : lines;
}

function describeEnvironment({ env = [], envFrom = [] }: Service): readonly string[] | undefined {
  const lines = [
    ...envFrom.map(({ secretRef, prefix = '' }) => `${prefix}* from all keys of secret ${secretRef.name}`),
    ...env.map(({ name, value, valueFrom }) => describeVariable(name, value, valueFrom?.secretKeyRef)),
  ];
  return lines.length === 0 ? undefined : lines;
}

function describeFile({ mountPath, content, secretKeyRef }: ServiceFile): string {
  return secretKeyRef === undefined
    ? `${mountPath} (${(content ?? '').length} characters)`
    : `${mountPath} from key ${secretKeyRef.key} of secret ${secretKeyRef.name}`;
}

/** What it waits for, or would wait for with its next container. */
function listMissing({ status }: ProjectObject): readonly string[] | undefined {
  const missing = (status.secrets ?? []).flatMap(({ name, missing: isSecretMissing, keys }) =>
    isSecretMissing === true ? [name] : keys.filter((key) => key.missing === true).map((key) => `key ${key.name} of ${name}`),
  );
  return missing.length === 0 ? undefined : missing;
}

function describeVariable(
  name: string,
  value: string | undefined,
  secret: { readonly name: string; readonly key: string } | undefined,
): string {
  return secret === undefined ? `${name}=${value ?? ''}` : `${name} from key ${secret.key} of secret ${secret.name}`;
}

function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/u.test(word) ? word : JSON.stringify(word);
}
