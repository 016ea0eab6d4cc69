/** caractrl uncordon: new Projects may come again. */
import { defineCommand } from '../command.ts';
import { cordonNodes } from '../cordon-node.ts';

export const uncordonCommand = defineCommand({
  name: 'uncordon',
  summary: 'Let new Projects onto a Node again',
  args: 'NODE...',
  options: {},
  examples: [{ command: 'caractrl uncordon worker-01', does: 'after maintenance' }],
  run: (context, args) => cordonNodes(context, args, { verb: 'uncordon', unschedulable: false }),
});
