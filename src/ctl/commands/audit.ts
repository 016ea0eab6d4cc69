/** caractrl audit: who did what to which object, from where, and what came of it. */
import type { AuditEntry } from '../../api/audit.ts';
import { defineCommand, text } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { renderDocument } from '../output/document.ts';
import type { Cell } from '../output/table.ts';
import { renderTable } from '../output/table.ts';
import { kindOf, readType } from '../resource-type.ts';

export const auditCommand = defineCommand({
  name: 'audit',
  summary: 'Show who did what, and what was refused',
  args: '',
  options: {
    since: text('when', 'a duration back from now (1h), or a time (2027-01-01T00:00:00Z)'),
    who: text('who', 'only of a user, of node/NAME, or of anybody'),
    object: text('TYPE/NAME', 'only what was done to this, such as project/shop'),
    limit: text('count', 'the newest so many [1000]'),
  },
  examples: [
    { command: 'caractrl audit --since 24h --who alice', does: 'what Alice did since yesterday' },
    { command: 'caractrl audit --object project/shop -o json', does: 'everything about one Project, whole' },
  ],
  run: async ({ connectAuth, io, output = 'table', signal }, _, { since, who, object, limit }) => {
    if (limit !== undefined && !/^[1-9][0-9]{0,4}$/u.test(limit)) {
      throw new UsageError(`Cannot use --limit as it must be a whole number from 1 to 10000: current value is ${JSON.stringify(limit)}`);
    }
    const client = await connectAuth();
    const query = {
      ...(since !== undefined && { since }),
      ...(who !== undefined && { who }),
      ...(object !== undefined && { object: toReference(object) }),
      ...(limit !== undefined && { limit: Number(limit) }),
    };
    const entries = await client.listAudit(query, signal);
    if (output === 'json' || output === 'yaml') {
      io.stdout.write(await renderDocument(output, { kind: 'AuditList', items: entries }));
    } else if (entries.length === 0) {
      io.stderr.write('nothing that fits has been written down\n');
    } else {
      const headers = ['TIME', 'WHO', 'FROM', 'VERB', 'OBJECT', 'OUTCOME', ...(output === 'wide' ? ['REQUEST', 'DETAIL'] : [])];
      io.stdout.write(
        renderTable(
          headers,
          entries.map((entry) => toRow(entry, output === 'wide')),
          io.stdout,
        ),
      );
    }
    return 0;
  },
});

function toRow(
  { at, who, from = '-', verb, object = '-', outcome, status, request, detail = '-' }: AuditEntry,
  isWide: boolean,
): readonly Cell[] {
  const tone = outcome === 'Done' ? 'plain' : 'bad';
  return [at, who, from, verb, object, { text: `${outcome} ${status}`, tone }, ...(isWide ? [request, detail] : [])];
}

/** `project/shop` as entries have it: Project/shop. Other kinds are written as they are. */
function toReference(text: string): string {
  const [type = '', name] = text.split('/', 2);
  if (name === undefined || name === '') {
    throw new UsageError(`Cannot use --object as it must be TYPE/NAME: current value is ${JSON.stringify(text)}`, {
      hint: 'caractrl audit --object project/shop',
    });
  }
  return /^[A-Z]/u.test(type) ? text : `${kindOf(readType(type))}/${name}`;
}
