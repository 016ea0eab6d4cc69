/** What the quickstart shows: a line for each thing done; on a terminal, below them, one that moves while something is being done. */
import { styleText } from 'node:util';
import type { WriteStream } from 'node:tty';
import type { Clock } from '../../src/base/clock.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;
const LABEL_WIDTH = 15;
const CLEAR_LINE = '\r\u001B[2K';

export type Style = Parameters<typeof styleText>[0];

export interface Screen {
  line(text?: string): void;
  paint(style: Style, text: string): string;
  /** Shows that `label` is being done until `work` ends, then a line with what it returns. */
  task<T>(label: string, work: (note: (text: string) => void) => Promise<T>, summary: (result: T) => string): Promise<T>;
}

export function createScreen(stream: WriteStream, clock: Clock): Screen {
  const isLive = stream.isTTY === true;
  let moving: { readonly label: string; note: string; readonly startMs: number } | undefined;
  let frameNumber = 0;

  const paint = (style: Style, text: string): string => styleText(style, text, { stream });
  const draw = (): void => {
    if (!isLive || moving === undefined) {
      return;
    }
    const seconds = ((clock.monotonicMs() - moving.startMs) / 1000).toFixed(1);
    const text = `${FRAMES[frameNumber % FRAMES.length] ?? ''} ${moving.label.padEnd(LABEL_WIDTH)} ${seconds} s  ${moving.note}`;
    stream.write(`${CLEAR_LINE}${text.slice(0, stream.columns - 1)}`);
  };
  const line = (text = ''): void => {
    stream.write(`${isLive && moving !== undefined ? CLEAR_LINE : ''}${text}\n`);
    draw();
  };
  const animate = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      draw();
      frameNumber += 1;
      await clock.sleep(FRAME_MS, signal);
    }
  };
  return {
    line,
    paint,
    task: async (label, work, summary) => {
      const task = { label, note: '', startMs: clock.monotonicMs() };
      moving = task;
      const animation = new AbortController();
      const animated = isLive ? animate(animation.signal).catch(() => undefined) : undefined; // it ends by being aborted
      const note = (text: string): void => {
        task.note = text;
        if (!isLive) {
          line(`  ${label.padEnd(LABEL_WIDTH)} ${text}`);
        }
      };
      let isDone = false;
      try {
        const result = await work(note);
        isDone = true;
        const seconds = ((clock.monotonicMs() - task.startMs) / 1000).toFixed(1);
        moving = undefined;
        const clear = isLive ? CLEAR_LINE : '';
        stream.write(`${clear}${paint('green', '✔')} ${label.padEnd(LABEL_WIDTH)} ${summary(result)} ${paint('dim', `(${seconds} s)`)}\n`);
        return result;
      } finally {
        moving = undefined;
        animation.abort();
        await animated;
        if (!isDone) {
          stream.write(`${isLive ? CLEAR_LINE : ''}${paint('red', '✘')} ${label}\n`);
        }
      }
    },
  };
}
