/** The Secret resource: values that services need and nobody else is to see. Reads show keys, sizes and fingerprints, never values. */
import Type, { type Static } from 'typebox';
import type { FieldError } from './errors.ts';
import { checkDockerConfig, DOCKER_CONFIG_KEY } from './docker-config.ts';
import { API_VERSION, ApplyMeta, Closed, ManifestMeta, MapOf, Meta, OneOf, Text, type ObjectMeta } from './meta.ts';
import { BASE64, SECRET_KEY } from './names.ts';

export const SECRET_TYPES = ['Opaque', 'dockerconfigjson'] as const;
export type SecretType = (typeof SECRET_TYPES)[number];

/** Bytes of all values of a Secret together; as base64 they still fit into a body of 1 MiB. */
const MAX_SECRET_BYTES = 512 * 1024;

const SecretTypeField = OneOf(
  SECRET_TYPES,
  'Opaque (default): any values; dockerconfigjson: credentials of registries, as docker keeps them',
);

const CONTENT = {
  type: Type.Optional(SecretTypeField),
  data: Type.Optional(MapOf(SECRET_KEY, Text(BASE64), 'Key -> value in base64. Left out together with stringData: the values stay')),
  stringData: Type.Optional(
    MapOf(
      SECRET_KEY,
      Type.String({ expects: 'text (quote numbers and booleans)' }),
      'Key -> value as text; goes before data. Written only',
    ),
  ),
};

export const SecretManifest = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Secret', { expects: 'Secret' }),
  metadata: ManifestMeta,
  ...CONTENT,
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type SecretManifest = Static<typeof SecretManifest>;

/** A Secret as `caractrl apply` sends it: labels and annotations merge (null removes); data and stringData together replace the values. */
export const SecretApply = Closed({
  apiVersion: Type.Literal(API_VERSION, { expects: API_VERSION }),
  kind: Type.Literal('Secret', { expects: 'Secret' }),
  metadata: ApplyMeta,
  ...CONTENT,
  status: Type.Optional(Type.Unknown({ description: 'Ignored: written by the system alone' })),
});
export type SecretApply = Static<typeof SecretApply>;

const Fingerprint = Type.String({ description: 'Equal for equal values of the same key; made with a key that only the server has' });

/** A key of a Secret as reads show it. */
export const SecretKeyStatus = Closed({
  name: Text(SECRET_KEY),
  size: Type.Integer({ minimum: 0, description: 'Bytes' }),
  fingerprint: Fingerprint,
});

export interface SecretObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'Secret';
  readonly metadata: ObjectMeta;
  readonly type: SecretType;
  /** key -> base64; only in answers to those who may see the values and asked for them */
  readonly data?: Readonly<Record<string, string>>;
  readonly status: {
    /** sorted by name */
    readonly keys: readonly Readonly<Static<typeof SecretKeyStatus>>[];
    /** of all keys and values together */
    readonly fingerprint: string;
  };
}

export const SecretSchema = Closed({
  apiVersion: Type.Literal(API_VERSION),
  kind: Type.Literal('Secret'),
  metadata: Meta,
  type: SecretTypeField,
  data: Type.Optional(MapOf(SECRET_KEY, Text(BASE64), 'Only where the values were asked for, by who may see them')),
  status: Closed({ keys: Type.Array(SecretKeyStatus), fingerprint: Fingerprint }),
});

/** What a manifest says of the values. */
export type SecretContent = Pick<SecretManifest, 'type' | 'data' | 'stringData'>;

/** What a schema cannot say about a Secret. No message holds a value, nor a part of one. */
export function checkSecretContent({ type, data = {}, stringData = {} }: SecretContent): readonly FieldError[] {
  const sizes = new Map([
    ...Object.entries(data).map(([key, value]) => [key, base64Bytes(value)] as const),
    ...Object.entries(stringData).map(([key, value]) => [key, new TextEncoder().encode(value).length] as const),
  ]);
  const bytes = sizes.values().reduce((sum, size) => sum + size, 0);
  if (bytes > MAX_SECRET_BYTES) {
    const pointer = Object.keys(data).length > 0 ? '/data' : '/stringData';
    return [{ pointer, detail: `must have at most 512 KiB of values in all: its values have ${Math.ceil(bytes / 1024)} KiB` }];
  }
  return type === 'dockerconfigjson' && sizes.size > 0 ? checkRegistries(data, stringData) : [];
}

function checkRegistries(data: Readonly<Record<string, string>>, stringData: Readonly<Record<string, string>>): readonly FieldError[] {
  const others = [...new Set([...Object.keys(data), ...Object.keys(stringData)])].filter((key) => key !== DOCKER_CONFIG_KEY);
  const field = Object.keys(stringData).length > 0 ? '/stringData' : '/data';
  if (others.length > 0) {
    return [{ pointer: `${field}/${others[0]}`, detail: `is no key of type dockerconfigjson, whose one key is ${DOCKER_CONFIG_KEY}` }];
  }
  const text = stringData[DOCKER_CONFIG_KEY] ?? decodeText(data[DOCKER_CONFIG_KEY] ?? '');
  const why = text === undefined ? 'is no text in UTF-8' : checkDockerConfig(text);
  return why === undefined ? [] : [{ pointer: `${field}/${DOCKER_CONFIG_KEY}`, detail: why }];
}

/** Bytes that well-formed base64 stands for. */
function base64Bytes(text: string): number {
  return (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
}

function decodeText(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.codePointAt(0) ?? 0);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
