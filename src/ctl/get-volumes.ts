/** `caractrl get volumes`: what there is on the nodes, also of Projects that are gone. Callers: commands/get.ts. */
import { ApiError } from '../api/errors.ts';
import type { VolumeObject } from '../api/volume.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './ctl-error.ts';
import { renderDocument, toDocument } from './output/document.ts';
import { renderTable } from './output/table.ts';
import { VOLUME_COLUMNS } from './output/volume-columns.ts';
import { nameOf, type VolumeName } from './volume-name.ts';

export interface GetVolumesOptions {
  readonly selector: string | undefined;
  readonly phase: readonly string[];
  readonly headers: boolean;
  readonly showLabels: boolean;
  readonly node: string | undefined;
  readonly watch: boolean;
  readonly reveal: boolean;
}

export async function getVolumes(context: CommandContext, names: readonly VolumeName[], options: GetVolumesOptions): Promise<number> {
  const { selector, phase, node, watch, reveal, showLabels } = options;
  if (selector !== undefined || phase.length > 0 || watch || reveal || showLabels || (node !== undefined && names.length > 0)) {
    throw new UsageError('Cannot select volumes like this: only --node selects them', { hint: 'caractrl get volumes --node worker-01' });
  }
  const { connect, signal } = context;
  const client = await connect();
  if (names.length === 0) {
    const { items } = await client.volumes.list({ ...(node !== undefined && { nodeRef: node }) }, signal);
    await print(context, items, { isSingle: false, hasHeader: options.headers });
    return 0;
  }
  const found = await Promise.all(names.map(async (name) => ({ name, volume: await client.volumes.find(name.node, name.name, signal) })));
  const items = found.flatMap(({ volume }) => volume ?? []);
  if (items.length > 0) {
    await print(context, items, { isSingle: names.length === 1, hasHeader: options.headers });
  }
  const missing = found.filter(({ volume }) => volume === undefined).map(({ name }) => `volume ${JSON.stringify(nameOf(name))} not found`);
  if (missing.length > 0) {
    throw new ApiError('NotFound', missing.join(', '));
  }
  return 0;
}

async function print(
  { io, output = 'table', clock }: CommandContext,
  items: readonly VolumeObject[],
  { isSingle, hasHeader }: { readonly isSingle: boolean; readonly hasHeader: boolean },
): Promise<void> {
  if (output === 'name') {
    io.stdout.write(items.map(({ metadata }) => `volume/${metadata.name}\n`).join(''));
  } else if (output === 'json' || output === 'yaml') {
    io.stdout.write(await renderDocument(output, toDocument(items, { isSingle, listKind: 'VolumeList' })));
  } else if (items.length === 0) {
    io.stderr.write('No volumes found\n');
  } else {
    const columns = VOLUME_COLUMNS.filter(({ isWide }) => output === 'wide' || isWide !== true);
    const rows = items.map((item) => columns.map((column) => column.cell(item, clock.wallMs())));
    io.stdout.write(
      renderTable(
        columns.map(({ header }) => header),
        rows,
        io.stdout,
        { hasHeader },
      ),
    );
  }
}
