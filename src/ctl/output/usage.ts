/** How usage looks: amounts short enough to compare at a glance. */
import type { ResourceUsage } from '../node-usage.ts';
import type { Cell } from './table.ts';

/** `asked`, `left`, … of a resource: "1500m" of CPU; memory and disk in binary units with one decimal: "7.5Gi". */
export function formatAmount({ name, write }: ResourceUsage['resource'], amount: number | undefined): string {
  if (amount === undefined) {
    return '-';
  }
  return name === 'cpu' ? (amount < 0 ? `-${write(-amount)}` : write(amount)) : roundBytes(amount);
}

/** "-" where there is nothing to take a share of. */
export function formatPercent({ percent }: ResourceUsage): string {
  return percent === undefined ? '-' : `${percent}%`;
}

/** What is left, in a tone that says when it is none or less. */
export function leftCell({ resource, left }: ResourceUsage): Cell {
  const text = formatAmount(resource, left);
  return left !== undefined && left < 0 ? { text, tone: 'bad' } : text;
}

/** In the largest binary unit that leaves a number before the point, with one decimal below 100: "768Ki", "1.5Gi". */
export function roundBytes(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
  let value = Math.abs(bytes);
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit += 1) {
    value /= 1024;
  }
  const rounded = unit === 0 || value >= 100 ? Math.round(value) : Math.round(value * 10) / 10;
  return `${bytes < 0 ? '-' : ''}${rounded}${units[unit] ?? ''}`;
}
