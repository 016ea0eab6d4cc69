/** `caractrl port-forward`, `top` and the path in `describe node`, as typed, to a node that the server can dial and to one behind NAT. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { callEngine } from '../../scripts/lib/engine-http.ts';
import { until } from '../../scripts/lib/wait.ts';
import { contentsOf, IMAGES, testEngine } from '../support/engines/engine.ts';
import { startTerminal, type Terminal } from '../support/programs/terminal.ts';
import { startTwoSites, type Site, type TwoSites } from '../support/programs/two-sites.ts';

const CTL = path.join(import.meta.dirname, '../../bin/caractrl');
const LONG_MS = 60_000;
const SITES = ['near', 'far'] as const;
/** 9000: the sum of all that it is sent, once that has ended; 9001: what it is sent, as it comes */
const LISTENERS = ['9000 -e /bin/busybox sha256sum', '9001 -e /bin/busybox cat'].map((one) => `/bin/busybox nc -ll -p ${one} &`).join(' ');

let sites: TwoSites;

before(async () => {
  sites = await startTwoSites();
  const web = {
    name: 'web',
    image: IMAGES.v1.tag,
    entrypoint: ['/bin/busybox', 'sh', '-c'],
    command: [`${LISTENERS} exec /bin/busybox sleep 1d`],
    stopGracePeriod: '0s',
  };
  await Promise.all([sites.apply('ports-near', 'near', [web]), sites.apply('ports-far', 'far', [web])]);
});

after(async () => {
  await sites[Symbol.asyncDispose]();
});

interface Forwarding extends AsyncDisposable {
  readonly terminal: Terminal;
  /** local ports, in the order of the pairs */
  readonly ports: readonly number[];
}

async function forward(site: Site, ...args: readonly string[]): Promise<Forwarding> {
  const argv = [CTL, 'port-forward', `ports-${site}/web`, ...args];
  const terminal = await startTerminal(argv, { columns: 100, rows: 24, env: { CARA_SERVER: sites.url } });
  const ports: number[] = [];
  const lines = (): number[] => [...terminal.screen().matchAll(/^Forwarding [\d.]+:(\d+) -> ports-/gmu)].map(([, port]) => Number(port));
  const wanted = args.filter((arg) => arg.includes(':')).length;
  await until(() => lines().length >= wanted, { what: `the ports of ${argv.join(' ')}`, timeoutMs: LONG_MS });
  ports.push(...lines());
  return { terminal, ports, [Symbol.asyncDispose]: async () => await terminal[Symbol.asyncDispose]() };
}

/** Sends, ends, and reads to the end; "" where it is refused or cut. */
async function talk(port: number | undefined, words: string | Buffer, host = '127.0.0.1'): Promise<string> {
  const socket = net.connect({ port: port ?? 0, host, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => socket.destroy());
  socket.end(words);
  await once(socket, 'end', { signal: AbortSignal.timeout(LONG_MS) }).catch(() => undefined);
  socket.destroy();
  return Buffer.concat(chunks).toString();
}

function sumOf(bytes: Buffer | string): string {
  return `${createHash('sha256').update(bytes).digest('hex')}  -\n`;
}

async function answers(port: number | undefined, host?: string): Promise<void> {
  await until(async () => (await talk(port, 'again', host)) === 'again', { what: 'an answer', timeoutMs: LONG_MS });
}

for (const site of SITES) {
  test(`port-forward carries two ports of the ${site} node's service, large amounts, many connections, and ends of one direction`, async () => {
    await using forwarding = await forward(site, ':9000', ':9001', '--address', '127.0.0.9');
    const [sums, echo] = forwarding.ports;
    await until(async () => (await talk(sums, '', '127.0.0.9')) === sumOf(''), { what: 'the listeners', timeoutMs: LONG_MS });
    await answers(echo, '127.0.0.9');
    const noise = randomBytes(8_000_000);
    assert.equal(await talk(sums, noise, '127.0.0.9'), sumOf(noise)); // it answers only when what is sent has ended
    const open: net.Socket[] = [];
    for (let index = 0; index < 40; index += 1) {
      // one after the other: the listener of this image resets what comes while it takes another
      const socket = net.connect({ port: echo ?? 0, host: '127.0.0.9' });
      open.push(socket);
      socket.write(`hello ${index}`);
      assert.equal(String((await once(socket, 'data', { signal: AbortSignal.timeout(LONG_MS) }))[0]), `hello ${index}`);
    }
    const words = await Promise.all(
      open.map(async (socket, index) => {
        const answer = once(socket, 'data', { signal: AbortSignal.timeout(LONG_MS) });
        socket.write(`word ${index}`);
        return String((await answer)[0]);
      }),
    );
    assert.deepEqual(
      words,
      words.map((_, index) => `word ${index}`),
    );
    open.forEach((socket) => socket.destroy());
    assert.equal(await talk(echo, 'not here', '127.0.0.1'), '');
    forwarding.terminal.type('\x03');
    assert.equal(await forwarding.terminal.exitCode(), 130);
  });

  test(`port-forward stays while the ${site} node's service, then its agent, then the server are restarted`, async () => {
    await using forwarding = await forward(site, ':9001', ':9');
    const { terminal, ports } = forwarding;
    const open = net.connect({ port: ports[0] ?? 0, host: '127.0.0.1' });
    const cut = once(open, 'close', { signal: AbortSignal.timeout(LONG_MS) }).catch(() => undefined);
    open.on('error', () => undefined).write('x');
    await once(open, 'data', { signal: AbortSignal.timeout(LONG_MS) });

    const host = site === 'far' ? sites.farEngine.host : testEngine();
    const [id = assert.fail()] = Object.values((await contentsOf(host, `cara_ports-${site}_`)).containers);
    await callEngine({ host, method: 'POST', path: `/containers/${id}/kill` });
    await cut;
    await answers(ports[0]);

    await sites.agent(site).kill();
    await sites.restartAgent(site);
    await answers(ports[0]);
    await sites.restartServer();
    await answers(ports[0]);

    // Tried again, as the way may be just coming back; each cause is told when it is another than before.
    const nothingListens =
      /warning: Cannot connect to port 9 of ports-\w+\/web as nothing listens on it in the container; new connections/u;
    await until(async () => (await talk(ports[1], 'nobody')) === '' && nothingListens.test(terminal.screen()), {
      what: 'the warning that nothing listens',
      timeoutMs: LONG_MS,
    });
    terminal.type('\x03');
    assert.equal(await terminal.exitCode(), 130);
  });
}

test('describe node shows the path, and the tunnel in its place when the address does not answer any more', async () => {
  const pathOf = async (site: Site): Promise<string> =>
    /Path: +(.*)/u.exec((await sites.ctl(['describe', 'node', site])).stdout)?.[1] ?? '';
  const shows = async (site: Site, what: RegExp): Promise<void> =>
    void (await until(async () => what.test(await pathOf(site)), { what: `${what} of ${site}`, timeoutMs: LONG_MS }));
  await shows('far', /^tunnel of the agent, round trip [\d.]+ ms \(10\.98\.81\.2:\d+: nothing answers there\)$/u);
  await shows('near', /^direct to 10\.98\.81\.1:\d+, round trip [\d.]+ ms$/u);
  await sites.setDirect(false);
  try {
    await shows('near', /^tunnel of the agent, round trip [\d.]+ ms \(10\.98\.81\.1:\d+: nothing listens there\)$/u);
    await using forwarding = await forward('near', ':9001');
    await answers(forwarding.ports[0]);
  } finally {
    await sites.setDirect(true);
  }
});

test('top shows nodes, Projects and services: once in a pipe, as JSON, and live on a terminal until Ctrl-C', async () => {
  const nodes = await sites.ctl(['top', 'nodes']);
  assert.equal(nodes.code, 0, nodes.stderr);
  assert.match(nodes.stdout, /^NAME +STATE +CPU USED .*\nfar +Ready +\d.*\nnear +Ready +\d.*\n$/u);
  assert.match((await sites.ctl(['top', 'projects'])).stdout, /^ports-far +.*\nports-near +/mu);
  const { stdout } = await sites.ctl(['top', 'services', 'ports-far', '-o', 'json']);
  assert.match(JSON.stringify(JSON.parse(stdout)), /"web"/u);
  const env = { CARA_SERVER: sites.url };
  await using live = await startTerminal([CTL, 'top', 'services'], { columns: 120, rows: 20, env });
  await live.shows(/ports-far\/web +Running +far [^]*ports-near\/web +Running +near /u);
  await live.shows(/ports-far\/web +Running/u); // again: it is live
  live.type('\x03');
  assert.equal(await live.exitCode(), 130);
});
