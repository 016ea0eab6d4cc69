/** Colours with a meaning; none where the screen has none. */
import type { Screen } from '../io.ts';

export type Tone = 'good' | 'bad' | 'busy' | 'dim' | 'strong' | 'plain';

const CODES: Readonly<Record<Tone, string>> = { good: '32', bad: '31', busy: '33', dim: '2', strong: '1', plain: '' };

export function paint({ hasColor }: Pick<Screen, 'hasColor'>, tone: Tone, text: string): string {
  return hasColor && tone !== 'plain' && text !== '' ? `\u001B[${CODES[tone]}m${text}\u001B[0m` : text;
}

/** The tone of a node's state, a Project's phase or a service's state. */
export function toneOf(word: string): Tone {
  switch (word) {
    case 'Ready':
    case 'Healthy':
    case 'Running':
    case 'Completed':
      return 'good';
    case 'NotReady':
    case 'Failed':
    case 'Unhealthy':
      return 'bad';
    case 'Terminated':
      return 'dim';
    default:
      return 'busy';
  }
}
