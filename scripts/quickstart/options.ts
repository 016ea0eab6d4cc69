/** The command line of the quickstart. */
import path from 'node:path';

export interface QuickstartOptions {
  /** clean up and end once the page has been shown */
  readonly isOnce: boolean;
  /** absolute */
  readonly dir: string;
}

export const USAGE = `Starts Caravanserai on this machine and runs examples/hello on it.

Usage: npm run quickstart [-- [--once] [--dir FOLDER]]

  --once        clean up and end once the page has been shown; so it is without a terminal
  --dir FOLDER  keep everything in FOLDER instead of .quickstart
  --help        show this
`;

export interface QuickstartDefaults {
  readonly isTerminal: boolean;
  readonly dir: string;
  /** what a relative --dir is relative to: where the user stands */
  readonly cwd: string;
}

/** The command line was typed wrongly: exit code 2, as everywhere here. */
export class QuickstartMisuse extends Error {}

/** @returns 'help' when that is asked for @throws {QuickstartMisuse} for anything it does not know */
export function readOptions(argv: readonly string[], defaults: QuickstartDefaults): QuickstartOptions | 'help' {
  let isOnce = !defaults.isTerminal;
  let dir = defaults.dir;
  const words = argv.flatMap((word) => (word.startsWith('--dir=') ? ['--dir', word.slice('--dir='.length)] : [word]));
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    const next = words[at + 1] ?? '';
    if (word === '--help' || word === '-h') {
      return 'help';
    } else if (word === '--once') {
      isOnce = true;
    } else if (word === '--dir' && next !== '') {
      dir = path.resolve(defaults.cwd, next);
      at += 1;
    } else {
      throw new QuickstartMisuse(`Cannot read the command line at ${JSON.stringify(word)}: there are --once, --dir FOLDER and --help`);
    }
  }
  return { isOnce, dir };
}
