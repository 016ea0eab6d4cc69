/** caractrl cordon: no new Projects on a node. */
import { defineCommand } from '../command.ts';
import { cordonNodes } from '../cordon-node.ts';

export const cordonCommand = defineCommand({
  name: 'cordon',
  summary: 'Keep new Projects off a Node; those on it go on running',
  args: 'NODE...',
  options: {},
  examples: [{ command: 'caractrl cordon worker-01', does: 'before maintenance: sets spec.unschedulable, the state becomes Draining' }],
  run: (context, args) => cordonNodes(context, args, { verb: 'cordon', unschedulable: true }),
});
