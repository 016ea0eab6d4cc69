/**
 * The watchers of store.ts, a process of their own: so many connections, each a watch of Nodes. Prints "ready" when all have begun, and after
 * that, for each change, when the first and the last watcher had heard of it.
 *
 * Arguments: host, port, how many, resourceVersion.
 */
import { connect } from 'node:net';
import { monotonicMs } from './detection-report.ts';

const [host = '', port = '', count = '', version = ''] = process.argv.slice(2);
const CHANGE = Buffer.from('"MODIFIED"');
const BOOKMARK = Buffer.from('"BOOKMARK"');
let begun = 0;
let heard = 0;
let firstMs = 0;

function take(chunk: Buffer): void {
  if (chunk.includes(BOOKMARK)) {
    begun += 1;
    if (begun === Number(count)) {
      process.stdout.write('ready\n');
    }
  }
  if (chunk.includes(CHANGE)) {
    heard += 1;
    firstMs = heard === 1 ? monotonicMs() : firstMs;
    if (heard === Number(count)) {
      process.stdout.write(`${JSON.stringify({ firstMs, lastMs: monotonicMs() })}\n`);
      heard = 0;
    }
  }
}

const OPENED_AT_A_TIME = 200;

for (let opened = 0; opened < Number(count);) {
  for (let batch = 0; batch < OPENED_AT_A_TIME && opened < Number(count); batch += 1, opened += 1) {
    const socket = connect(Number(port), host);
    socket.on('error', () => process.exit(1));
    socket.on('data', take);
    socket.write(`GET /api/v1/nodes?watch=true&resourceVersion=${version} HTTP/1.1\r\nhost: ${host}:${port}\r\n\r\n`);
  }
  const wanted = opened;
  while (begun < wanted) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
