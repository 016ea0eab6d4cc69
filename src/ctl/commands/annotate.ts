/** caractrl annotate: sets and removes annotations. */
import { changeMetadata } from '../change-metadata.ts';
import { defineCommand } from '../command.ts';

export const annotateCommand = defineCommand({
  name: 'annotate',
  summary: 'Set or remove annotations',
  args: 'TYPE NAME... KEY=VALUE... KEY-...',
  options: {},
  examples: [
    { command: 'caractrl annotate project shop example.org/owner="Ada, room 12"', does: 'set one' },
    { command: 'caractrl annotate project shop example.org/owner-', does: 'remove it' },
  ],
  run: (context, args) => changeMetadata(context, args, { verb: 'annotate', field: 'annotations' }),
});
