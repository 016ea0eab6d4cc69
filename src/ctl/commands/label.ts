/** caractrl label: sets and removes labels. */
import { changeMetadata } from '../change-metadata.ts';
import { defineCommand } from '../command.ts';

export const labelCommand = defineCommand({
  name: 'label',
  summary: 'Set or remove labels',
  args: 'TYPE NAME... KEY=VALUE... KEY-...',
  options: {},
  examples: [
    { command: 'caractrl label node worker-01 caravanserai.io/zone=ed312', does: 'set one' },
    { command: 'caractrl label node worker-01 worker-02 disk=ssd spot-', does: 'set one and remove another, on two nodes' },
  ],
  run: (context, args) => changeMetadata(context, args, { verb: 'label', field: 'labels' }),
});
