/** `caractrl get servers`: the processes of the control plane, and which of them leads. Callers: commands/get.ts. */
import { ApiError } from '../api/errors.ts';
import type { ServerObject } from '../api/server.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './ctl-error.ts';
import type { GetVolumesOptions } from './get-volumes.ts';
import { ageOf } from './output/age.ts';
import type { Column } from './output/column.ts';
import { renderDocument, toDocument } from './output/document.ts';
import { renderTable } from './output/table.ts';
import { isWordFor } from './resource-type.ts';

const COLUMNS: readonly Column<ServerObject>[] = [
  { header: 'NAME', cell: ({ metadata }) => metadata.name },
  { header: 'ROLE', cell: ({ status }) => status.role },
  { header: 'URL', cell: ({ status }) => status.url },
  { header: 'VERSION', cell: ({ status }) => status.version },
  { header: 'LAST SEEN', cell: ({ status }, nowMs) => ageOf(status.lastSeen, nowMs) },
  { header: 'AGE', cell: ({ metadata }, nowMs) => ageOf(metadata.createdAt, nowMs) },
];

/** @returns the names that are asked for, none being all; undefined: the arguments are about something else */
export function readServerNames(args: readonly string[]): readonly string[] | undefined {
  const [first = '', ...rest] = args;
  if (isWordFor('server', first)) {
    return rest;
  }
  return args.length > 0 && args.every((arg) => /^servers?\/[^/]+$/iu.test(arg))
    ? args.map((arg) => arg.replace(/^[^/]*\//u, ''))
    : undefined;
}

export async function getServers(context: CommandContext, names: readonly string[], options: GetVolumesOptions): Promise<number> {
  const { selector, phase, node, watch, reveal, showLabels } = options;
  if (selector !== undefined || phase.length > 0 || watch || reveal || showLabels || node !== undefined) {
    throw new UsageError('Cannot select or watch servers: caractrl get servers shows all of them', { hint: 'caractrl get servers' });
  }
  const client = await context.connect();
  const { items: all } = await client.servers.list(context.signal);
  const items = names.length === 0 ? all : all.filter(({ metadata }) => names.includes(metadata.name));
  await print(context, items, { isSingle: names.length === 1, hasHeader: options.headers });
  const missing = names.filter((name) => !all.some(({ metadata }) => metadata.name === name));
  if (missing.length > 0) {
    throw new ApiError('NotFound', missing.map((name) => `server ${JSON.stringify(name)} not found`).join(', '));
  }
  return 0;
}

async function print(
  { io, output = 'table', clock }: CommandContext,
  items: readonly ServerObject[],
  { isSingle, hasHeader }: { readonly isSingle: boolean; readonly hasHeader: boolean },
): Promise<void> {
  if (output === 'name') {
    io.stdout.write(items.map(({ metadata }) => `server/${metadata.name}\n`).join(''));
  } else if ((output === 'json' || output === 'yaml') && (items.length > 0 || !isSingle)) {
    io.stdout.write(await renderDocument(output, toDocument(items, { isSingle, listKind: 'ServerList' })));
  } else if (items.length > 0) {
    const rows = items.map((item) => COLUMNS.map((column) => column.cell(item, clock.wallMs())));
    io.stdout.write(
      renderTable(
        COLUMNS.map(({ header }) => header),
        rows,
        io.stdout,
        { hasHeader },
      ),
    );
  }
}
