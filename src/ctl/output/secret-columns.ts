/** The table of Secrets. No column has a value. */
import type { SecretObject } from '../../api/secret.ts';
import { ageOf } from './age.ts';
import type { Column } from './column.ts';

export const SECRET_COLUMNS: readonly Column<SecretObject>[] = [
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'TYPE', cell: ({ type }) => type },
  { header: 'KEYS', cell: ({ status }) => String(status.keys.length) },
  { header: 'SIZE', cell: ({ status }) => formatSize(status.keys.reduce((sum, { size }) => sum + size, 0)) },
  { header: 'AGE', cell: ({ metadata }, nowMs) => ageOf(metadata.createdAt, nowMs) },
  { header: 'NAMES', isWide: true, cell: ({ status }) => status.keys.map(({ name }) => name).join(',') || '-' },
];

/** The size of a value, which is small: `512B`, `1.5Ki`. */
export function formatSize(bytes: number): string {
  return bytes < 1024 ? `${bytes}B` : `${(bytes / 1024).toFixed(1).replace(/\.0$/u, '')}Ki`;
}
