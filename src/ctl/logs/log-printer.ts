/** Prints lines of logs: stdout's to stdout, stderr's to stderr, as they were written; remarks between dashes to stderr. */
import { splitBatch, toPlain, type LogBatch, type LogLine, type LogStream, type LogText } from '../../api/log-record.ts';
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

  function start(line: LogLine, source: number, prefix: string): string {
    const isContinued = open.get(line.stream) === source;
    return isContinued ? '' : `${open.has(line.stream) ? '\n' : ''}${prefix}${hasTimes ? `${line.time} ` : ''}`;
  }

  /** Of a service that is shown alone: nothing goes before its lines. */
  function printBatch(batch: LogBatch): void {
    io[batch.stream].write(toPlain(batch, { hasTimes, isWithinLine: open.has(batch.stream) }));
    open.delete(batch.stream);
  }

  function print(texts: readonly LogText[], source: number): void {
    let lines: LogLine[] = [];
    for (const text of texts) {
      if (text.type === 'line') {
        lines.push(text);
        continue;
      }
      printLines(lines, source);
      lines = [];
      if (services.length > 1) {
        printLines(splitBatch(text), source);
      } else {
        printBatch(text);
      }
    }
    printLines(lines, source);
  }

  /** Runs of lines of one stream are written at once. */
  function printLines(lines: readonly LogLine[], source: number): void {
    for (let at = 0; at < lines.length;) {
      const stream = lines[at]?.stream ?? 'stdout';
      const screen = io[stream];
      const prefix = prefixOf(screen, source);
      let text = '';
      for (let line = lines[at]; line !== undefined && line.stream === stream; line = lines[at]) {
        text += start(line, source, prefix);
        if (line.base64 === undefined) {
          text += line.text ?? '';
        } else {
          screen.write(text); // bytes that no text can hold go by themselves
          screen.write(Buffer.from(line.base64, 'base64'));
          text = '';
        }
        if (line.isPartial === true) {
          open.set(stream, source);
        } else {
          open.delete(stream);
          text += '\n';
        }
        at += 1;
      }
      screen.write(text);
    }
  }

  return (event) => {
    if (event.kind === 'lines') {
      print(event.lines, event.source);
      return;
    }
    const line = `--- ${toPrintable(event.text)} ---`;
    io.stderr.write(`${open.has('stderr') ? '\n' : ''}${io.stderr.hasColor ? `\u001B[2m${line}\u001B[0m` : line}\n`);
    open.delete('stderr');
  };
}
