/** Logging: JSON lines through pino, or the same as readable lines on a terminal. */
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const;

export interface LogOptions {
  readonly level: (typeof LOG_LEVELS)[number];
  readonly format: (typeof LOG_FORMATS)[number];
}

/** Fields that may carry a secret, wherever they stand in a record. */
const REDACTED = ['authorization', 'token', 'password', '*.authorization', '*.token', '*.password', 'req.headers.authorization'];

/** Makes the program's logger. `auto` is pretty on a terminal, JSON elsewhere. */
export function createLogger(program: string, options: LogOptions): Logger {
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const base = { base: { program }, level: options.level, redact: REDACTED, timestamp: pino.stdTimeFunctions.isoTime };
  return isPretty ? pino(base, prettyDestination()) : pino(base, pino.destination({ fd: 1, sync: true }));
}

function prettyDestination(): DestinationStream {
  return { write: (line) => void process.stdout.write(`${prettyLine(line)}\n`) };
}

const LEVEL_NAMES: Readonly<Record<number, string>> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO ', 40: 'WARN ', 50: 'ERROR', 60: 'FATAL' };

/** One JSON record as a line for people: `12:00:00.000 INFO  node-lifecycle: node state changed node=worker-01 to=Ready`. */
export function prettyLine(json: string): string {
  const { time, level, component, msg, err, program: _program, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const source = typeof component === 'string' ? `${component}: ` : '';
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const reason = typeof err === 'object' && err !== null && 'message' in err ? ` err=${JSON.stringify(err.message)}` : '';
  return `${clock} ${LEVEL_NAMES[Number(level)] ?? String(level)} ${source}${String(msg)}${rest.join('')}${reason}`;
}
