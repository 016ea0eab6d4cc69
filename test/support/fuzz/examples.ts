/** What fields of known names and forms hold, so that fuzzed documents get past the grammar now and then. */
import { KNOWN_NAMES } from './api-inputs.ts';
import type { JsonSchema } from './values.ts';

const BY_FIELD: Readonly<Record<string, readonly unknown[]>> = {
  name: [...KNOWN_NAMES, 'web', 'data', 'new-1'],
  image: ['web:1', 'registry.example:5000/a/b@sha256:' + 'a'.repeat(64), 'x'],
  apiVersion: ['caravanserai/v1'],
  limit: ['1', '2', '500', '0', '-1', '501'],
  continue: ['n1', 'bm8', 'eyJ9'],
  resourceVersion: ['0', '1', '7', '999999', '-1', 'x'],
  labelSelector: ['a=b', 'a in (b,c)', '!a', 'a notin (x)', 'a,b', '(((', 'a==', ',', 'a in ('],
  service: ['web', 'db'],
  since: ['10s', '1h', '2026-01-01T00:00:00Z', '-1s'],
  expireAt: ['2026-01-01T00:00:01Z', '2099-01-01T00:00:00Z'],
  ttl: ['1s', '2h', '999999h'],
};

export function examplesFor(schema: JsonSchema, field: string): readonly unknown[] {
  const known = BY_FIELD[field];
  if (known !== undefined && (schema['type'] === 'string' || schema['type'] === 'integer' || field === 'limit')) {
    return known;
  }
  const { pattern, description } = schema as { readonly pattern?: string; readonly description?: string };
  if (schema['type'] !== 'string' || pattern === undefined) {
    return [];
  }
  return FORMS.filter((example) => new RegExp(pattern, 'u').test(example))
    .slice(0, 6)
    .concat(description === undefined ? [] : []);
}

/** One of these fits most grammars. */
const FORMS = [
  'a',
  'web',
  'worker-01',
  '10s',
  '1h30m',
  '2000m',
  '4Gi',
  '512Mi',
  '80',
  '/data',
  '/var/lib/x',
  'A_B',
  '2026-01-01T00:00:00Z',
  'a.example.com',
  '127.0.0.1',
  'caravanserai.io/zone',
  'NET_ADMIN',
  'AAAA',
  'shop/web:3',
  'SIGTERM',
  'net.core.somaxconn',
  `sha256:${'0'.repeat(64)}`,
];
