/**
 * Quantities of resources in Kubernetes' grammar: `2`, `0.5`, `2000m`, `4Gi`, `1e3`.
 *
 * A quantity is kept and shown as it was written; it is only read into a number to be compared or summed.
 * Source   Kubernetes apimachinery `resource.Quantity`.
 */
import type { Grammar } from './names.ts';

/** Unsigned: no resource of ours can be negative. */
export const QUANTITY = {
  pattern: '^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$',
  expects: 'a quantity: a number, then m, k, M, G, T, P, E or Ki, Mi, Gi, Ti, Pi, Ei (for example 500m, 2, 512Mi or 4Gi; not 4gb)',
  maxLength: 64,
} as const satisfies Grammar;

const ANY_QUANTITY = new RegExp(QUANTITY.pattern, 'u');

/** What nearly all quantities are: read as a number, in a tenth of the time (a start with 100,000 nodes reads 600,000). */
const PLAIN_PATTERN = /^([0-9]{1,9})(m|Ki|Mi|Gi)?$/u;
const PLAIN_MILLIS: Readonly<Record<string, number>> = { '': 1000, m: 1 };
const PLAIN_UNITS: Readonly<Record<string, number>> = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };

const QUANTITY_PATTERN = /^(?<whole>[0-9]*)(?:\.(?<fraction>[0-9]*))?(?<suffix>[eE][+-]?[0-9]{1,3}|[KMGTPE]i|[numkMGTPE])?$/u;

const BINARY_EXPONENT: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };
const DECIMAL_EXPONENT: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };

/** Tells whether `text` is a quantity. */
export function isQuantity(text: string): boolean {
  return text.length <= QUANTITY.maxLength && ANY_QUANTITY.test(text);
}

/** Reads a quantity in thousandths (CPU: millicores), rounded up as Kubernetes does. @throws {RangeError} when it is none */
export function quantityToMillis(quantity: string | number): number {
  return readPlain(quantity, PLAIN_MILLIS) ?? Number(scaled(quantity, 3));
}

/** Reads a quantity in whole units (memory, disk: bytes), rounded up. @throws {RangeError} when it is none */
export function quantityToUnits(quantity: string | number): number {
  return readPlain(quantity, PLAIN_UNITS) ?? Number(scaled(quantity, 0));
}

/** @returns undefined where it is not that plain, or too large to be exact */
function readPlain(quantity: string | number, factors: Readonly<Record<string, number>>): number | undefined {
  const match = PLAIN_PATTERN.exec(String(quantity));
  const factor = match === null ? undefined : factors[match[2] ?? ''];
  const value = factor === undefined ? Number.NaN : Number(match?.[1]) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The value times 10^`digits`, rounded up; in BigInt, so that 0.1 stays 0.1 and 16Ei stays exact. */
function scaled(quantity: string | number, digits: number): bigint {
  const text = String(quantity);
  const isGood = typeof quantity === 'number' ? quantity >= 0 && quantity < Infinity : isQuantity(text); // 5e-324 is a number of JSON's
  const match = isGood ? QUANTITY_PATTERN.exec(text) : null;
  if (!match?.groups) {
    throw new RangeError(`Cannot read quantity as it must be ${QUANTITY.expects}: current value is ${JSON.stringify(quantity)}`);
  }
  const whole = match.groups['whole'] ?? '';
  const fraction = match.groups['fraction'] ?? '';
  const suffix = match.groups['suffix'] ?? '';
  let numerator = BigInt(whole + fraction);
  let exponent = digits - fraction.length;
  if (suffix in BINARY_EXPONENT) {
    numerator <<= BINARY_EXPONENT[suffix] ?? 0n;
  } else if (suffix in DECIMAL_EXPONENT) {
    exponent += DECIMAL_EXPONENT[suffix] ?? 0;
  } else if (suffix !== '') {
    exponent += Number(suffix.slice(1));
  }
  if (exponent >= 0) {
    return numerator * 10n ** BigInt(exponent);
  }
  const divisor = 10n ** BigInt(-exponent);
  return (numerator + divisor - 1n) / divisor;
}

/** Writes CPU thousandths as a quantity: 2000 -> "2", 1500 -> "1500m". */
export function formatMillis(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

/** Writes bytes as a quantity, in the largest binary unit that divides them: 536870912 -> "512Mi". */
export function formatBytes(bytes: number): string {
  for (const [suffix, exponent] of [
    ['Ti', 40],
    ['Gi', 30],
    ['Mi', 20],
    ['Ki', 10],
  ] as const) {
    if (bytes !== 0 && bytes % 2 ** exponent === 0) {
      return `${bytes / 2 ** exponent}${suffix}`;
    }
  }
  return String(bytes);
}
