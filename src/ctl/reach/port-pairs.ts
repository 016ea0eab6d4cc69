/** What `port-forward` is told: pure. Callers: commands/port-forward.ts. */
import { UsageError } from '../ctl-error.ts';

export interface PortPair {
  /** 0: a free one */
  readonly local: number;
  /** in the container */
  readonly remote: number;
}

const EXPECTS = 'PORT, LOCAL:REMOTE or :REMOTE with numbers up to 65535, such as 8080:80';

/** Reads [LOCAL:]REMOTE, as in 8080:80, 80 (the same on both sides), :80 or 0:80 (a free one here). @throws {UsageError} */
export function parsePortPairs(words: readonly string[]): readonly PortPair[] {
  if (words.length === 0) {
    throw new UsageError('Cannot forward as no port is named', { hint: 'caractrl port-forward PROJECT/SERVICE 8080:80' });
  }
  const pairs = words.map(parsePortPair);
  const fixed = pairs.map(({ local }) => local).filter((port) => port !== 0);
  const twice = fixed.find((port, index) => fixed.indexOf(port) !== index);
  if (twice !== undefined) {
    throw new UsageError(`Cannot forward the local port ${twice} to two places: name each once`);
  }
  return pairs;
}

function parsePortPair(word: string): PortPair {
  const [, local, remote] = /^(?:(\d{0,5}):)?(\d{1,5})$/u.exec(word) ?? [];
  const pair = { local: Number(local ?? remote), remote: Number(remote) };
  if (remote === undefined || pair.remote < 1 || pair.remote > 65_535 || pair.local > 65_535) {
    throw new UsageError(`Cannot forward ${JSON.stringify(word)} as it must be ${EXPECTS}`);
  }
  return pair;
}
