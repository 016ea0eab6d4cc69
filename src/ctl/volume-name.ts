/** Volumes on the command line: `volumes`, `volume NODE/NAME...`, `volume/NODE/NAME...`. Only get and delete know them. */
import { UsageError } from './ctl-error.ts';
import { isWordFor } from './resource-type.ts';

export interface VolumeName {
  readonly node: string;
  readonly name: string;
}

/** @returns the names of the volumes that `args` are about, none being all; undefined: they are about something else. @throws {UsageError} */
export function readVolumeNames(args: readonly string[], command: string): readonly VolumeName[] | undefined {
  const [first = '', ...rest] = args;
  if (isWordFor('volume', first)) {
    return rest.map((word) => readOne(word.replace(/^vol(?:ume)?s?\/(?=[^/]+\/)/iu, ''), command));
  }
  if (!args.some((arg) => isWordFor('volume', arg.split('/')[0] ?? '') && arg.includes('/'))) {
    return undefined;
  }
  return args.map((arg) => {
    const [type = '', ...parts] = arg.split('/');
    if (!isWordFor('volume', type)) {
      throw new UsageError(`Cannot ${command} volumes and something else at once: ${JSON.stringify(arg)} is no volume`);
    }
    return readOne(parts.join('/'), command);
  });
}

function readOne(word: string, command: string): VolumeName {
  const [node = '', name = '', ...rest] = word.split('/');
  if (node === '' || name === '' || rest.length > 0) {
    throw new UsageError(
      `Cannot tell which volume to ${command} as it must be NODE/NAME, as caractrl get volumes shows both: current value is ${JSON.stringify(word)}`,
      { hint: `caractrl ${command} volume worker-01/cara_shop_data` },
    );
  }
  return { node, name };
}

export function nameOf({ node, name }: VolumeName): string {
  return `${node}/${name}`;
}
