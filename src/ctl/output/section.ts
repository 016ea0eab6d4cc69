/** Parts of `describe`: fields with their names aligned, one below the other. */
import type { Screen } from '../io.ts';
import { paint, type Tone } from './paint.ts';
import { toPrintable } from './printable.ts';

export interface Field {
  readonly name: string;
  /** several values stand one below the other; none leave the field out */
  readonly value: string | readonly string[] | undefined;
  readonly tone?: Tone;
}

export function renderFields(fields: readonly Field[], screen: Pick<Screen, 'hasColor'>, indent = ''): string {
  const shown = fields.filter(({ value }) => value !== undefined);
  const width = shown.reduce((widest, { name }) => Math.max(widest, name.length), 0) + 1;
  return shown
    .map(({ name, value, tone = 'plain' }) => {
      const given = (typeof value === 'string' ? [value] : (value ?? [])).flatMap((part) => toPrintable(part).trimEnd().split('\n'));
      const lines = given.length === 0 ? ['none'] : given;
      return lines
        .map((line, index) => `${indent}${(index === 0 ? `${name}:` : '').padEnd(width)}   ${paint(screen, tone, line)}`.trimEnd() + '\n')
        .join('');
    })
    .join('');
}

/** Key/value pairs, one a line, sorted. */
export function pairs(map: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(map)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
}

export function heading(screen: Pick<Screen, 'hasColor'>, title: string): string {
  return `\n${paint(screen, 'strong', `${title}:`)}\n`;
}
