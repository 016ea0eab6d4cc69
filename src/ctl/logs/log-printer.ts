/** Prints lines of logs: stdout's to stdout, stderr's to stderr, as they were written; remarks between dashes to stderr. */
import type { LogLine, LogStream } from '../../api/log-record.ts';
import type { Io, Screen } from '../io.ts';
import { toPrintable } from '../output/printable.ts';
import type { MergedEvent } from './merge-logs.ts';

export interface PrinterOptions {
  readonly io: Io;
  /** one a service; several are told apart by a prefix */
  readonly services: readonly string[];
  readonly hasTimes: boolean;
}

/** Colours that read on light and dark, as Compose has them; red means failure elsewhere. */
const COLORS = ['36', '33', '32', '35', '34', '96', '93', '92', '95', '94'] as const;

export function createLogPrinter({ io, services, hasTimes }: PrinterOptions): (event: MergedEvent) => void {
  const width = Math.max(...services.map((name) => name.length));
  /** stream -> source whose line is not ended */
  const open = new Map<LogStream, number>();

  function prefixOf(screen: Screen, source: number): string {
    if (services.length < 2) {
      return '';
    }
    const text = `${(services[source] ?? '').padEnd(width)} | `;
    return screen.hasColor ? `\u001B[${COLORS[source % COLORS.length]}m${text}\u001B[0m` : text;
  }

  function format(line: LogLine, source: number, prefix: string): Buffer {
    const isContinued = open.get(line.stream) === source;
    const start = isContinued ? '' : `${open.has(line.stream) ? '\n' : ''}${prefix}${hasTimes ? `${line.time} ` : ''}`;
    const body = line.base64 === undefined ? Buffer.from(line.text ?? '') : Buffer.from(line.base64, 'base64');
    if (line.isPartial === true) {
      open.set(line.stream, source);
    } else {
      open.delete(line.stream);
    }
    return Buffer.concat([Buffer.from(start), body, Buffer.from(line.isPartial === true ? '' : '\n')]);
  }

  /** Runs of lines of one stream are written at once. */
  function printLines(lines: readonly LogLine[], source: number): void {
    for (let at = 0; at < lines.length;) {
      const stream = lines[at]?.stream ?? 'stdout';
      const screen = io[stream];
      const prefix = prefixOf(screen, source);
      const parts: Buffer[] = [];
      for (let line = lines[at]; line !== undefined && line.stream === stream; line = lines[at]) {
        parts.push(format(line, source, prefix));
        at += 1;
      }
      screen.write(Buffer.concat(parts));
    }
  }

  return (event) => {
    if (event.kind === 'lines') {
      printLines(event.lines, event.source);
      return;
    }
    const line = `--- ${toPrintable(event.text)} ---`;
    io.stderr.write(`${open.has('stderr') ? '\n' : ''}${io.stderr.hasColor ? `\u001B[2m${line}\u001B[0m` : line}\n`);
    open.delete('stderr');
  };
}
