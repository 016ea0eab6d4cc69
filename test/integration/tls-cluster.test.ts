/** Several servers on one PostgreSQL, with TLS: one authority is that of all, and what they hand on to each other is verified too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import path from 'node:path';
import { run } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createCaraClient, type CaraClient } from '../../src/client/cara-client.ts';
import { createHttpFetch } from '../../src/client/http-fetch.ts';
import { createTransport } from '../../src/client/transport.ts';
import { createTrust } from '../../src/client/trust.ts';
import { startTestCluster, type ClusterServer } from '../support/programs/cluster.ts';
import { NO_POSTGRES } from '../support/stores/postgres.ts';

const FOREVER = new AbortController().signal;

function authorityOf({ process }: ClusterServer): string {
  return String(
    process()
      .log()
      .find(({ msg }) => msg === 'serving TLS')?.['authority'],
  );
}

function clientOf(serverUrl: string, fingerprint: string): CaraClient {
  const nothing = { load: () => Promise.resolve(undefined), save: () => Promise.resolve() };
  const trust = createTrust({ fingerprint, setting: 'the test', ...nothing });
  return createCaraClient(createTransport({ serverUrl, userAgent: 'test', clock: systemClock, fetch: createHttpFetch(trust), trust }));
}

test('servers on one PostgreSQL share an authority, and a follower hands on to the leader by TLS', { skip: NO_POSTGRES }, async () => {
  await using cluster = await startTestCluster(2, { TLS: 'on' });
  const [first, second] = cluster.servers as readonly [ClusterServer, ClusterServer];
  assert.match(first.url, /^https:/u);
  const fingerprint = authorityOf(first);
  assert.match(fingerprint, /^sha256:/u);
  assert.equal(authorityOf(second), fingerprint);

  const clients = cluster.servers.map(({ url }) => clientOf(url, fingerprint));
  for (const [index, client] of clients.entries()) {
    const name = `n${index}`;
    await until(
      async () => {
        try {
          await client.registerNode(name, { hostname: name }, FOREVER); // one of the two hands it on
          await client.sendHeartbeat(name, {}, FOREVER);
          return true;
        } catch {
          return false; // nobody leads yet
        }
      },
      { what: 'a registration and a heartbeat', timeoutMs: 60_000 },
    );
  }
  for (const client of clients) {
    // The leader calls a node Ready a moment after its heartbeat, and a follower hears of it after that.
    await until(
      async () => {
        const { items } = await client.nodes.list({}, FOREVER);
        return items.map(({ metadata, status }) => `${metadata.name} ${status.state}`).join() === 'n0 Ready,n1 Ready';
      },
      { what: 'both nodes to be Ready', timeoutMs: 60_000 },
    );
  }
  const { items: servers } = await (clients[0] as CaraClient).servers.list(FOREVER);
  assert.deepEqual(servers.map(({ status }) => status.role).toSorted(), ['Follower', 'Leader']);

  await second.kill();
  await second.start();
  assert.equal(authorityOf(second), fingerprint, 'also after a restart');
});

async function tls(server: ClusterServer, action: string): Promise<string> {
  const bin = path.join(import.meta.dirname, '../../bin/cara-server');
  const { code, stdout, stderr } = await run(bin, ['tls', action], { env: { ...process.env, ...server.env }, timeoutMs: 60_000 });
  assert.equal(code, 0, stderr);
  return stdout;
}

const fingerprintIn = (text: string): string => /sha256:[0-9a-f]{64}/u.exec(text)?.[0] ?? assert.fail(text);

test(
  'an authority that is rotated beside one server is that of all, and who pinned the old one goes on',
  { skip: NO_POSTGRES },
  async () => {
    await using cluster = await startTestCluster(2, { TLS: 'on' });
    const [first, second] = cluster.servers as readonly [ClusterServer, ClusterServer];
    const old = authorityOf(first);
    const pinned = cluster.servers.map(({ url }) => clientOf(url, old));
    for (const client of pinned) {
      await client.version(FOREVER);
    }
    const next = fingerprintIn(await tls(second, 'rotate'));
    assert.notEqual(next, old);
    for (const server of [first, second]) {
      await until(
        async () => {
          try {
            await clientOf(server.url, next).version(FOREVER);
            return true;
          } catch {
            return false;
          }
        },
        { what: `${server.name} to show the new authority`, timeoutMs: 60_000 },
      );
      assert.equal(fingerprintIn(await tls(server, 'show')), next);
    }
    for (const client of [...pinned, ...cluster.servers.map(({ url }) => clientOf(url, old))]) {
      await client.version(FOREVER);
    }
  },
);
