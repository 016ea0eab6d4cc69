/** caractrl port-forward: ports of a service as ports of this machine. */
import type { ProjectObject } from '../../api/project.ts';
import { abortable } from '../../base/abortable.ts';
import { defineCommand, list } from '../command.ts';
import { toPrintable } from '../output/printable.ts';
import { startForwarder, type Forwarder } from '../reach/forwarder.ts';
import { parsePortPairs } from '../reach/port-pairs.ts';
import { findService, readServiceTarget } from '../reach/service-target.ts';

const USAGE = 'caractrl port-forward PROJECT/SERVICE 8080:80';

export const portForwardCommand = defineCommand({
  name: 'port-forward',
  summary: 'Make ports of a service ports of this machine, until Ctrl-C',
  args: 'PROJECT/SERVICE [LOCAL:]REMOTE...',
  options: {
    address: list('address', 'where to listen [127.0.0.1]; 0.0.0.0 lets others in too'),
  },
  examples: [
    {
      command: 'caractrl port-forward shop/web 8080:80',
      does: 'port 80 of the service, whether or not it is published, at http://127.0.0.1:8080',
    },
    { command: 'caractrl port-forward shop/db 5432', does: 'the same port on both sides' },
    { command: 'caractrl port-forward shop/web :80 :9000', does: 'two ports, at free ones, which it prints' },
  ],
  run: async (context, args, options) => {
    const { io, signal } = context;
    const target = readServiceTarget(args[0], { what: 'what to forward', usage: USAGE });
    const pairs = parsePortPairs(args.slice(1));
    const client = await context.connect();
    const { ref, project } = await findService(client, target, signal);
    const name = `${ref.project}/${ref.service}`;
    const addresses =
      options.address.length === 0 ? ['127.0.0.1'] : options.address.flatMap((word) => word.split(',')).map(withoutBrackets);
    const forwarders: Forwarder[] = [];
    try {
      for (const pair of pairs) {
        for (const address of addresses) {
          const connect = (port: number, ended: AbortSignal) => client.reach.connect(ref, port, ended);
          const tell = (text: string): void => io.stderr.write(`${toPrintable(text)}\n`);
          const forwarder = await startForwarder({ address, pair, name, connect, tell }, signal);
          forwarders.push(forwarder);
        }
      }
      forwarders.forEach(({ address }, index) => {
        const { remote } = pairs[Math.floor(index / addresses.length)] ?? { remote: 0 };
        io.stdout.write(`Forwarding ${address} -> ${name}:${remote}\n`);
      });
      const warning = explainState(project, ref.service);
      if (warning !== undefined) {
        io.stderr.write(`warning: ${toPrintable(warning)}\n`);
      }
      return await abortable(new Promise<never>(() => undefined), signal);
    } finally {
      forwarders.forEach((forwarder) => forwarder.close());
    }
  },
});

const RUNNING: readonly unknown[] = ['Starting', 'Running', 'Unhealthy'];

function withoutBrackets(address: string): string {
  return address.replaceAll(/[[\]]/gu, '');
}

/** Said at once, rather than at the first connection. */
function explainState({ metadata: { name }, status }: ProjectObject, service: string): string | undefined {
  const found = status.services?.find((one) => one.name === service);
  const isLost = status.conditions.some((condition) => condition.type === 'NodeReachable' && condition.status === 'False');
  if (isLost) {
    return `node ${status.nodeRef ?? ''} does not answer: connections are refused until it is back`;
  }
  return RUNNING.includes(found?.state) ? undefined : `${name}/${service} does not run now: connections are refused until it does`;
}
