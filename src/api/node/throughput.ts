/** Throughput tests: where, how much, and how a speed is written. The schema is apart, in throughput-report.ts: agents do without TypeBox. */
export const THROUGHPUT_PATH = '/api/v1/throughput';

/** Of one test, in one direction. */
export const MAX_THROUGHPUT_BYTES = 16 * 1024 * 1024;

const UNITS = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'] as const;

/**
 * Writes a speed for people, as `status.network.throughput` shows it: three significant digits and the decimal unit in which providers
 * sell lines, "94.2 Mbit/s", "1.02 Gbit/s", "512 kbit/s". At most 999 Tbit/s.
 * @param bitsPerSecond finite, 0 or more
 */
export function formatBitRate(bitsPerSecond: number): string {
  let value = Math.min(bitsPerSecond, 999e12);
  let unit = 0;
  while (Number(value.toPrecision(3)) >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  // whole bits: a fraction of one says nothing
  return `${unit === 0 ? Math.round(value) : value.toPrecision(3)} ${UNITS[unit]}`;
}
