/**
 * Sound parts: what of a Project's spec that does not fit the schema can still be held against the rules, so that whoever wrote it
 * hears of all mistakes at once. Pure, for any JSON.
 *
 * A rule must not complain of what follows from another mistake alone: a part that is malformed is left out, and of what looks at it,
 * nothing is said. So of a service only fields are looked at whose rules need no other field, but names.
 * Callers  manifest.ts
 */
import { createDecoder, type Decoder } from '../decode.ts';
import type { FieldError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import { checkProjectSpec } from './project-rules.ts';
import { ProjectSpec, Service, Volume } from '../project.ts';

const isService = createDecoder(Service);
const isVolume = createDecoder(Volume);

/** Fields of a service that are looked at though others of it are malformed -> how to tell that they are not. */
const SERVICE_FIELDS: ReadonlyMap<string, Decoder<unknown>> = pick(
  Service.properties,
  'env files ports volumeMounts healthCheck resources dependsOn restartPolicy extraHosts ulimits shmSize logging labels'.split(' '),
);
const serviceName = createDecoder(Service.properties.name);
const volumeName = createDecoder(Volume.properties.name);
const LIFETIME: ReadonlyMap<string, Decoder<unknown>> = pick(ProjectSpec.properties, ['expireAt', 'ttl']);
const lostNode = createDecoder(ProjectSpec.properties.onNodeLost);

/** The schema's bound; beyond it the number is the mistake, and to compare all of them would take long. */
const MAX_PARTS = 128;

type Fields = Readonly<Record<string, unknown>>;

/** What the rules say of the sound parts of a spec that does not fit the schema, `base` as in `checkProjectSpec`. */
export function checkSoundParts(spec: unknown, base = '/spec'): readonly FieldError[] {
  if (!isRecord(spec)) {
    return [];
  }
  const services = listOf(spec['services']);
  const volumes = spec['volumes'] === undefined ? [] : listOf(spec['volumes']);
  if (services === undefined || volumes === undefined) {
    return [];
  }
  const isWhole = services.every((service) => isService(service).ok) && volumes.every((volume) => isVolume(volume).ok);
  const { onNodeLost } = spec;
  const sound = {
    services: services.map((service, index) => (isService(service).ok ? service : soundService(service, index))),
    volumes: volumes.map((volume, index) => (isVolume(volume).ok ? volume : { name: nameOf(volume, volumeName, index) })),
    ...soundFields(spec, LIFETIME),
    ...(isWhole && onNodeLost !== undefined && lostNode(onNodeLost).ok && { onNodeLost }),
  };
  const areNamesSound = (parts: readonly unknown[], name: Decoder<string>): boolean =>
    parts.every((part) => isRecord(part) && name(part['name']).ok);
  const hidden = [
    ...(areNamesSound(services, serviceName) ? [] : [/\/dependsOn\/\d+\/service$/u]),
    ...(areNamesSound(volumes, volumeName) ? [] : [/\/volumeMounts\/\d+\/name$/u]),
  ];
  return checkProjectSpec(sound as ProjectSpec, base).filter(({ pointer }) => !hidden.some((pattern) => pattern.test(pointer)));
}

function soundService(service: unknown, index: number): Fields {
  const fields = isRecord(service) ? service : {};
  const sound = soundFields(fields, SERVICE_FIELDS);
  const isPolicyLost = fields['restartPolicy'] !== undefined && sound['restartPolicy'] === undefined;
  // Never: of the policies the one that no rule speaks against
  return { image: 'none', ...sound, ...(isPolicyLost && { restartPolicy: 'Never' }), name: nameOf(service, serviceName, index) };
}

function soundFields(fields: Fields, decoders: ReadonlyMap<string, Decoder<unknown>>): Fields {
  const entries = [...decoders].map(
    ([field, decode]) => [field, Object.hasOwn(fields, field) ? fields[field] : undefined, decode] as const,
  );
  return Object.fromEntries(
    entries.filter(([, value, decode]) => value !== undefined && decode(value).ok).map(([field, value]) => [field, value]),
  );
}

/** Its name, or one that nothing can refer to. */
function nameOf(part: unknown, decode: Decoder<string>, index: number): string {
  const decoded = decode(isRecord(part) ? part['name'] : undefined);
  return decoded.ok ? decoded.value : `(malformed ${index})`;
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) && value.length <= MAX_PARTS ? value : undefined;
}

function pick(
  properties: Readonly<Record<string, Parameters<typeof createDecoder>[0]>>,
  fields: readonly string[],
): ReadonlyMap<string, Decoder<unknown>> {
  return new Map(fields.flatMap((field) => (properties[field] === undefined ? [] : [[field, createDecoder(properties[field])] as const])));
}
