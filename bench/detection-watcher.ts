/**
 * The watcher of detection.ts, a process of its own as a user's would be: notes when it is told that each node is NotReady.
 *
 * Arguments: the server's URL, the resourceVersion to watch from, how many nodes. Prints one JSON document when all are told of.
 */
import { request } from 'node:http';
import { createInterface, type Interface } from 'node:readline';
import type { WatchEvent, WatchFailure } from '../src/api/watch-event.ts';
import type { NodeObject } from '../src/api/node.ts';
import { monotonicMs, type Watched } from './detection-report.ts';

const [url = '', version = '', expected = ''] = process.argv.slice(2);
const toldAtMs: Record<string, number> = {};
let told = 0;
let relists = 0;

function take(node: NodeObject): void {
  const { name } = node.metadata;
  if (node.status.state === 'NotReady' && toldAtMs[name] === undefined) {
    toldAtMs[name] = monotonicMs();
    told += 1;
  }
}

/** @returns the version to go on from, undefined to list again */
async function follow(since: string): Promise<string | undefined> {
  let last = since;
  const { promise, resolve, reject } = Promise.withResolvers<Interface>();
  const sent = request(`${url}/api/v1/nodes?watch=true&resourceVersion=${since}`, (response) =>
    resolve(createInterface({ input: response })),
  );
  sent.on('error', reject).end();
  const lines = await promise;
  lines.on('error', () => undefined); // of the connection that we cut
  process.stdout.write('watching\n');
  for await (const line of lines) {
    const event = JSON.parse(line) as WatchEvent<NodeObject> | WatchFailure;
    if (event.type === 'ERROR') {
      sent.destroy();
      return undefined;
    }
    last = event.object.metadata.resourceVersion;
    if (event.type !== 'BOOKMARK') {
      take(event.object);
    }
    if (told === Number(expected)) {
      sent.destroy();
      break;
    }
  }
  return last;
}

async function relist(): Promise<string> {
  relists += 1;
  let first: string | undefined;
  let next = '';
  do {
    const page = (await (await fetch(`${url}/api/v1/nodes?limit=500&${next}`)).json()) as {
      readonly items: readonly NodeObject[];
      readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
    };
    page.items.forEach(take);
    first ??= page.metadata.resourceVersion;
    next = page.metadata.continue === undefined ? '' : `continue=${encodeURIComponent(page.metadata.continue)}`;
  } while (next !== '');
  return first;
}

for (let since: string | undefined = version; told < Number(expected);) {
  since = (await follow(since)) ?? (await relist());
}
process.stdout.write(`${JSON.stringify({ toldAtMs, relists } satisfies Watched)}\n`, () => process.exit(0));
