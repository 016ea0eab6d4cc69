/** `describe secret`; with its values only where these were asked for. */
import type { ProjectObject } from '../../api/project.ts';
import type { SecretObject } from '../../api/secret.ts';
import { listSecretUses } from '../../api/project/secret-use.ts';
import { metaFields, type DescribeView } from './describe-common.ts';
import { formatSize } from './secret-columns.ts';
import { heading, renderFields } from './section.ts';
import { renderTable } from './table.ts';

/** Hex digits of a fingerprint that people compare. */
const SHOWN = 12;

/** @param projects among which those are that use it */
export function describeSecret(secret: SecretObject, projects: readonly ProjectObject[], view: DescribeView): string {
  const { metadata, type, status } = secret;
  const { screen, nowMs } = view;
  const users = projects.filter(({ spec }) => listSecretUses(spec).some(({ name }) => name === metadata.name));
  const head = [
    { name: 'Name', value: metadata.name },
    { name: 'Type', value: type },
    ...metaFields(metadata, nowMs),
    { name: 'Used by', value: users.map((project) => `project/${project.metadata.name}`) },
  ];
  const rows = status.keys.map(({ name, size, fingerprint }) => [name, formatSize(size), fingerprint.slice(0, SHOWN)]);
  const keys = rows.length === 0 ? '  none\n' : renderTable(['KEY', 'SIZE', 'FINGERPRINT'], rows, screen, { indent: '  ' });
  return renderFields(head, screen) + heading(screen, 'Keys') + keys + describeValues(secret, view);
}

function describeValues({ data }: SecretObject, { screen }: DescribeView): string {
  if (data === undefined) {
    return '';
  }
  const fields = Object.entries(data).map(([name, value]) => ({ name, value: readText(value) }));
  return heading(screen, 'Values') + renderFields(fields, screen, '  ');
}

function readText(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return `(${formatSize(bytes.length)}, no text: -o json has it in base64)`;
  }
}
