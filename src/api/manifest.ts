/**
 * Manifests: what users write and send. Decoding checks the schema and the rules that a schema cannot say; all mistakes at once: where
 * the schema finds some, the rules are held against what is sound all the same.
 */
import { createDecoder, decodeOrThrow, invalid, type Decoder } from './decode.ts';
import type { FieldError } from './errors.ts';
import { explainHabit } from './project/habits.ts';
import { KINDS, API_VERSION, type Kind } from './meta.ts';
import { NodeApply, NodeManifest } from './node.ts';
import { checkProjectSpec } from './project/project-rules.ts';
import { ProjectApply, ProjectManifest, type ProjectSpec } from './project.ts';
import { checkSoundParts } from './project/sound-parts.ts';
import { checkSecretContent, SecretApply, SecretManifest } from './secret.ts';

const nodeManifest = createDecoder(NodeManifest);
const nodeApply = createDecoder(NodeApply);
const projectManifest = createDecoder(ProjectManifest);
const projectApply = createDecoder(ProjectApply);
const secretManifest = createDecoder(SecretManifest, { isShown: isNoSecret });
const secretApply = createDecoder(SecretApply, { isShown: isNoSecret });

/** A Node to create or to replace with. @throws {ApiError} Invalid with every field error */
export function decodeNodeManifest(input: unknown): NodeManifest {
  return decodeOrThrow(nodeManifest, input, 'Node');
}

/** A Node to apply: null removes. @throws {ApiError} Invalid with every field error */
export function decodeNodeApply(input: unknown): NodeApply {
  return decodeOrThrow(nodeApply, input, 'Node');
}

/** A Project to create or to replace with. @throws {ApiError} Invalid with every field error */
export function decodeProjectManifest(input: unknown): ProjectManifest {
  return decodeProject(projectManifest, input);
}

/** A Project to apply: labels and annotations merge, null removes. @throws {ApiError} Invalid with every field error */
export function decodeProjectApply(input: unknown): ProjectApply {
  return decodeProject(projectApply, input);
}

/** A Secret to create or to replace with. @throws {ApiError} Invalid with every field error, none of which holds a value */
export function decodeSecretManifest(input: unknown): SecretManifest {
  return checkedSecret(decodeOrThrow(secretManifest, input, 'Secret'));
}

/** A Secret to apply: labels and annotations merge, null removes. @throws {ApiError} Invalid as above */
export function decodeSecretApply(input: unknown): SecretApply {
  return checkedSecret(decodeOrThrow(secretApply, input, 'Secret'));
}

/** Any manifest as `caractrl apply` takes it, by its kind. @throws {ApiError} Invalid with every field error */
export function decodeManifest(input: unknown): NodeApply | ProjectApply | SecretApply {
  const kind = typeof input === 'object' && input !== null && 'kind' in input ? input.kind : undefined;
  switch (kind as Kind) {
    case 'Node':
      return decodeNodeApply(input);
    case 'Project':
      return decodeProjectApply(input);
    case 'Secret':
      return decodeSecretApply(input);
    default:
      throw invalid('manifest', [describeKind(input, kind)]);
  }
}

function describeKind(input: unknown, kind: unknown): { readonly pointer: string; readonly detail: string } {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return { pointer: '', detail: `must be a map with apiVersion: ${API_VERSION}, kind, metadata and spec` };
  }
  if (kind === undefined && 'services' in input) {
    const head = `apiVersion: ${API_VERSION}, kind: Project, metadata: { name: … }`;
    return {
      pointer: '',
      detail: `is no manifest but looks like a Compose file: begin with ${head}, and write services as a list under spec`,
    };
  }
  return kind === undefined
    ? { pointer: '/kind', detail: `is required: one of ${KINDS.join(', ')}` }
    : { pointer: '/kind', detail: `must be one of ${KINDS.join(', ')}: current value is ${JSON.stringify(kind)}` };
}

function decodeProject<Manifest extends { readonly spec: ProjectSpec }>(decode: Decoder<Manifest>, input: unknown): Manifest {
  const decoded = decode(input);
  const errors = decoded.ok
    ? checkProjectSpec(decoded.value.spec)
    : joined(decoded.errors, checkSoundParts(typeof input === 'object' && input !== null && 'spec' in input ? input.spec : undefined));
  if (decoded.ok && errors.length === 0) {
    return decoded.value;
  }
  throw invalid(
    'Project',
    errors.map((error) => explainHabit(error, input)),
  );
}

/** What the schema says goes first: what the rules say of the same place, or of one within or around it, may only follow from it. */
function joined(ofSchema: readonly FieldError[], ofRules: readonly FieldError[]): readonly FieldError[] {
  const isWithin = (outer: string, inner: string): boolean => inner === outer || inner.startsWith(`${outer}/`);
  const isNew = ({ pointer }: FieldError): boolean =>
    !ofSchema.some((known) => isWithin(known.pointer, pointer) || isWithin(pointer, known.pointer));
  return [...ofSchema, ...ofRules.filter(isNew)];
}

function checkedSecret<Manifest extends SecretManifest | SecretApply>(manifest: Manifest): Manifest {
  const errors = checkSecretContent(manifest);
  if (errors.length > 0) {
    throw invalid('Secret', errors);
  }
  return manifest;
}

/** Whether an error may read back what stands at `pointer`: the document itself and what is below data and stringData hold values. */
function isNoSecret(pointer: string): boolean {
  return /^\/(?:apiVersion|kind|metadata|type)(?:\/|$)/u.test(pointer);
}
