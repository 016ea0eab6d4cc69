/** TLS by itself: a server that makes its own authority, an agent that knows it by its fingerprint, and others in their place. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { FOREVER, startAgentWorld, type AgentWorld } from '../support/worlds/agent-world.ts';
import { makeScratch } from '../support/scratch.ts';
import { issue } from '../../src/server/tls/issue.ts';

const SECURE = { TLS: 'on', AUTH: 'token' };
const NODE = 'worker-01';

/** What the first start says to type on a worker. */
function joinSettings(world: AgentWorld): Readonly<Record<string, string>> {
  const [, fingerprint = '', token = ''] = /CA_FINGERPRINT=(\S+) JOIN_TOKEN=(\S+) cara-agent/u.exec(world.shown()) ?? [];
  return { CA_FINGERPRINT: fingerprint, JOIN_TOKEN: token };
}

function serverFolder(world: AgentWorld): string {
  return path.join(path.dirname(world.dataDir), 'server-0', 'tls');
}

async function isReady(world: AgentWorld): Promise<boolean> {
  const node = await world.client.nodes.find(NODE, FOREVER);
  return node?.status.state === 'Ready' && world.server().tunnels.find(NODE) !== undefined;
}

async function get(url: string, options: https.RequestOptions = {}): Promise<{ readonly status: number; readonly body: string }> {
  const sent = (url.startsWith('https:') ? https : http).get(url, { agent: false, ...options });
  const [answer] = (await once(sent, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of answer) {
    body += String(chunk);
  }
  return { status: answer.statusCode ?? 0, body };
}

test('an agent joins by fingerprint and token, pins the authority, and comes back without either', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE, agentEnv: { NODE_IP: '127.0.0.2' } });
  assert.match(world.server().url, /^https:/u);
  await world.startAgent(NODE, joinSettings(world));
  await world.until('the node to be Ready, with a tunnel', () => isReady(world));
  const pinned = readFileSync(path.join(world.dataDir, 'authority.pem'), 'utf8');
  assert.equal(pinned, readFileSync(path.join(serverFolder(world), 'ca.pem'), 'utf8'));
  assert.equal(statSync(path.join(world.dataDir, 'authority.pem')).mode & 0o777, 0o600);
  const report = await world.server().links.measure(NODE, FOREVER);
  assert.deepEqual([report.path, typeof report.roundTripMs], ['tunnel', 'number']);

  await world.stopAgent();
  await world.startAgent(NODE);
  await world.until('the node to have another tunnel', () => isReady(world));
});

test('the port speaks TLS 1.2 and newer alone, and tells so whoever speaks plain HTTP; keys are private', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE });
  const { url } = world.server();
  const ca = readFileSync(path.join(serverFolder(world), 'ca.pem'));
  assert.equal((await get(`${url}/api/healthz`, { ca })).status, 200);
  assert.equal((await get(`${url}/api/healthz`, { ca, maxVersion: 'TLSv1.2' })).status, 200);
  await assert.rejects(get(`${url}/api/healthz`, { ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }));
  await assert.rejects(get(`${url}/api/healthz`), { code: /SELF_SIGNED|UNABLE_TO_VERIFY/u });
  const plain = await get(`${url.replace('https:', 'http:')}/api/healthz`);
  assert.equal(plain.status, 400);
  assert.match((JSON.parse(plain.body) as { detail: string }).detail, /this port speaks TLS alone: write https:\/\//u);
  for (const name of ['authority.pem', 'server.pem']) {
    assert.equal(statSync(path.join(serverFolder(world), name)).mode & 0o777, 0o600, name);
  }
  const served = new X509Certificate(readFileSync(path.join(serverFolder(world), 'server.pem')));
  assert.equal(served.checkHost('localhost'), 'localhost');
  assert.equal(served.checkIP('127.0.0.1'), '127.0.0.1');
});

test('who begins to agree on TLS and then says nothing, or says nonsense, is cut', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE });
  const { hostname, port } = new URL(world.server().url);
  const cut = async (bytes: Buffer): Promise<void> => {
    const socket = net.connect(Number(port), hostname);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.on('error', () => undefined); // a reset is a cut too
    socket.on('close', () => resolve());
    socket.resume();
    socket.write(bytes);
    await promise;
  };
  await Promise.all([
    cut(Buffer.from([0x16, 3, 1, 2, 0, 1])), // after ten seconds
    cut(Buffer.from([0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9])),
    cut(Buffer.concat([Buffer.from([0x16, 3, 1, 0xff, 0xff]), Buffer.alloc(100_000)])),
  ]);
  const ca = readFileSync(path.join(serverFolder(world), 'ca.pem'));
  assert.equal((await get(`${world.server().url}/api/healthz`, { ca })).status, 200);
});

/** A server with TLS in the place of ours: counts what it is asked, and notes what it is shown. */
async function startRogue(port: number): Promise<AsyncDisposable & { readonly requests: string[]; readonly connections: () => number }> {
  const authority = await issue({ kind: 'authority', id: 'rogue', nowMs: Date.now() });
  const own = await issue({ kind: 'server', authority, names: ['127.0.0.1', 'localhost'], nowMs: Date.now() });
  const requests: string[] = [];
  let connections = 0;
  const server = https.createServer({ key: own.key, cert: own.certificate + authority.certificate }, (request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''}`);
    response.end(request.url === '/api/v1/ca' ? authority.certificate : '{}');
  });
  server.on('connection', () => (connections += 1));
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    requests,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a rogue server at the same address is refused, shown nothing, and named in the log; the true one is taken back', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE });
  await world.startAgent(NODE, joinSettings(world));
  await world.until('the node to be Ready, with a tunnel', () => isReady(world));
  const port = Number(new URL(world.server().url).port);
  await world.stopServer();
  {
    await using rogue = await startRogue(port);
    const refusal = /does not come from the authority that was pinned \(sha256:[0-9a-f]{64}\).*CA_FINGERPRINT/u;
    await world.until('the refusal in the log', () => world.agentLog.some(({ detail }) => refusal.test(String(detail))));
    await world.until('some attempts', () => rogue.connections() >= 3);
    assert.deepEqual(rogue.requests, []);
  }
  await world.startServer();
  await world.until('the node to have a tunnel again', () => isReady(world));
});

test('a first contact with another server than the one of the fingerprint shows it no token', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE });
  const settings = joinSettings(world);
  const port = Number(new URL(world.server().url).port);
  await world.stopServer();
  await using rogue = await startRogue(port);
  await world.startAgent(NODE, settings);
  const refusal = /does not have the authority that CA_FINGERPRINT names \(sha256:/u;
  await world.until('the refusal in the log', () => world.agentLog.some(({ detail }) => refusal.test(String(detail))));
  assert.deepEqual([...new Set(rogue.requests)], ['GET /api/v1/ca ']);
});

test('no downgrade: with a pinned authority, or a fingerprint, plain HTTP is refused before anything is sent', async () => {
  await using world = await startAgentWorld({ serverEnv: SECURE });
  await world.startAgent(NODE, joinSettings(world));
  await world.until('the node to be Ready, with a tunnel', () => isReady(world));
  await world.stopAgent();
  await world.stopServer();
  let asked = 0;
  const plain = http.createServer((_request, response) => {
    asked += 1;
    response.end('{}');
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const { port } = plain.address() as { readonly port: number };
  const url = `http://127.0.0.1:${port}`;
  await assert.rejects(world.startAgent(NODE, { SERVER_URL: url }), /Cannot use http:.* as it is no https:\/\/ URL .*authority\.pem/u);
  await assert.rejects(world.startAgent(NODE, { SERVER_URL: `https://127.0.0.1:1,${url}` }), /no https/u);
  assert.equal(asked, 0);
  plain.closeAllConnections();
  plain.close();
});

test('given files are served, read again when they change, and left alone where they break', async () => {
  const authority = await issue({ kind: 'authority', id: 'company', nowMs: Date.now() });
  const issueOwn = () => issue({ kind: 'server', authority, names: ['127.0.0.1'], nowMs: Date.now() });
  using scratch = makeScratch();
  const folder = scratch.path;
  const [cert, key] = [path.join(folder, 'tls.crt'), path.join(folder, 'tls.key')];
  const put = (own: Awaited<ReturnType<typeof issueOwn>>): void => {
    writeFileSync(cert, own.certificate + authority.certificate);
    writeFileSync(key, own.key);
  };
  const first = await issueOwn();
  put(first);
  await using world = await startAgentWorld({ serverEnv: { TLS_CERT: cert, TLS_KEY: key, AUTH: 'token' } });
  const serial = async (): Promise<string> => {
    const { hostname, port } = new URL(world.server().url);
    const socket = tls.connect({ host: hostname, port: Number(port), ca: authority.certificate });
    await once(socket, 'secureConnect');
    const { serialNumber } = socket.getPeerX509Certificate() ?? {};
    socket.destroy();
    return serialNumber ?? '';
  };
  assert.equal(await serial(), new X509Certificate(first.certificate).serialNumber);
  const warning = async (): Promise<string> => (await get(`${world.server().url}/api/readyz`, { ca: authority.certificate })).body;
  chmodSync(key, 0o644);
  await world.until('a warning of it', async () => (await warning()).includes('Everyone on this machine can read TLS_KEY'));
  chmodSync(key, 0o600);
  await world.until('the warning to end', async () => !(await warning()).includes('TLS_KEY'));
  const second = await issueOwn();
  put(second);
  await world.until('the new certificate', async () => (await serial()) === new X509Certificate(second.certificate).serialNumber);
  writeFileSync(key, first.key);
  await world.until('a warning', async () => /is not that of the first certificate/u.test(await warning()));
  assert.equal(await serial(), new X509Certificate(second.certificate).serialNumber);
});
