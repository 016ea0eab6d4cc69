/**
 * A fleet off loopback, as somebody sets it up who has read nothing but what the screens say: the server's first words, a worker that joins,
 * people with tokens, and what each of them is refused. Real programs, real engine, TLS and credentials by themselves.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import path from 'node:path';
import { runOrThrow } from '../../scripts/lib/run.ts';
import { until } from '../../scripts/lib/wait.ts';
import { testEngine } from '../support/engines/engine.ts';
import { caractrl, type Program, startAgent, startServer } from '../support/programs/programs.ts';
import { makeScratch } from '../support/scratch.ts';

const ADDRESS = '10.98.83.1'; // no loopback address, though it is on `lo` of the test's own namespace
const NODE = 'secure-01';
const PROJECT = 'secure-shop';
const LONG_MS = 60_000;
const TOKEN = /cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}/u;
const MANIFEST = `
apiVersion: caravanserai/v1
kind: Project
metadata: { name: ${PROJECT} }
spec:
  services:
    - name: web
      image: caravanserai/hello:1
      entrypoint: [/bin/busybox, sh, -c, "echo open for trade; exec /bin/busybox sleep 1000000"]
      stopGracePeriod: 1s
`;

interface Screen {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A person's machine: caractrl with a home of its own. */
type Laptop = (line: string, input?: string) => Promise<Screen>;

const scratch = makeScratch();
let server: Program;
/** what the server has shown a person */
let words: string;

function makeLaptop(name: string): Laptop {
  const env = { HOME: path.join(scratch.path, name), XDG_CONFIG_HOME: undefined, CARA_SERVER: undefined, CARA_TOKEN: undefined };
  return async (line, input) => await caractrl(line.split(' '), { env, ...(input !== undefined && { input }) });
}

/** What it shows when all goes well. */
async function shown(screen: Promise<Screen>): Promise<string> {
  const { code, stdout, stderr } = await screen;
  assert.equal(code, 0, stderr);
  return stdout;
}

async function refused(screen: Promise<Screen>): Promise<string> {
  const { code, stdout, stderr } = await screen;
  assert.deepEqual([code, stdout], [1, ''], stderr);
  return stderr;
}

/** The command that the server's first words begin on a laptop, without the program's name; the token is pasted. */
function loginLine(): string {
  const [, line = ''] = /^ {2}caractrl (login .*)$/mu.exec(words) ?? [];
  return `${line} --token-file -`;
}

/** Starts the agent as the command says that was printed for the worker. */
async function runOnWorker(command: string): Promise<Program> {
  const parts = command.trim().split(' ');
  assert.equal(parts.pop(), 'cara-agent', command);
  const env = Object.fromEntries(parts.map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
  const { SERVER_URL: serverUrl = '', NODE_NAME: nodeName = '' } = env;
  return await startAgent({
    serverUrl,
    engineHost: testEngine(),
    nodeName,
    env: { ...env, HEARTBEAT_INTERVAL: '1s', AGENT_HOST: ADDRESS },
  });
}

const wrong = (text: string): string => text.replace(/sha256:(.)/u, (_, first: string) => `sha256:${first === 'a' ? 'b' : 'a'}`);

before(async () => {
  await runOrThrow('ip', ['addr', 'add', `${ADDRESS}/32`, 'dev', 'lo'], { timeoutMs: 10_000 });
  server = await startServer({ env: { HOST: ADDRESS } });
  const readWords = (): string =>
    server
      .log()
      .map(({ text }) => (typeof text === 'string' ? text : ''))
      .join('\n');
  await until(() => /Another admin token/u.test(readWords()), { what: 'the first words of the server', timeoutMs: LONG_MS });
  words = readWords();
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await runOrThrow('ip', ['addr', 'del', `${ADDRESS}/32`, 'dev', 'lo'], { timeoutMs: 10_000 });
  scratch[Symbol.dispose]();
});

test('a session off loopback: join, log in, run, be refused, be revoked', async () => {
  assert.match(server.url, /^https:\/\/10\.98\.83\.1:/u);
  const [adminToken = ''] = TOKEN.exec(words) ?? [];
  const admin = makeLaptop('admin');

  const stranger = await refused(admin(`get nodes --server ${server.url}`));
  assert.match(stranger, /fingerprint/u, 'the certificate is of nobody that this laptop knows');
  const elsewhere = await refused(admin(wrong(loginLine()), adminToken));
  assert.match(elsewhere, /fingerprint/u);
  assert.match(
    await shown(admin(loginLine(), adminToken)),
    /^logged in at https:\S+ as admin \(admin\); context \S+ is the current one\n$/u,
  );

  const joinCommand = await shown(admin(`token create --role node --node ${NODE}`));
  {
    await using lost = await runOnWorker(wrong(joinCommand));
    const isTold = (): boolean => /CA_FINGERPRINT/u.test(JSON.stringify(lost.log()));
    await until(isTold, { what: 'the refusal in the log of the agent', timeoutMs: LONG_MS });
  }
  await using _agent = await runOnWorker(joinCommand);
  await until(async () => /Ready +Healthy/u.test(await shown(admin(`get node ${NODE}`))), {
    what: 'the node to be Ready',
    timeoutMs: LONG_MS,
  });

  const [editor, viewer, operator] = (await Promise.all(
    ['--role editor --user ed', '--role viewer --user vi', '--role editor --user op --allow exec'].map(async (flags) => {
      const token = await shown(admin(`token create ${flags}`));
      const laptop = makeLaptop(flags.replaceAll(/\W+/gu, '-'));
      await shown(laptop(loginLine(), token));
      return laptop;
    }),
  )) as [Laptop, Laptop, Laptop];

  assert.match(await shown(editor('apply -f - --wait', MANIFEST)), /^project\/\S+ created\nproject\/\S+ running on secure-01 /u);
  assert.match(await shown(viewer(`get project ${PROJECT}`)), /Running/u);
  await until(async () => (await shown(viewer(`logs ${PROJECT}`))) === 'open for trade\n', { what: 'the log', timeoutMs: LONG_MS });
  assert.equal(await shown(operator(`exec ${PROJECT}/web -- /bin/busybox hostname -i`)).then((ip) => /^[\d.]+\n$/u.test(ip)), true);

  const noExec = await refused(editor(`exec ${PROJECT}/web -- /bin/busybox true`));
  assert.match(noExec, /needs the right exec: you are ed \(editor\)\nhint: an admin makes tokens .*--allow RIGHT\n$/u);
  const noDelete = await refused(viewer(`delete project ${PROJECT}`));
  assert.match(noDelete, /needs role editor: you are vi \(viewer\)/u);
  assert.equal((await viewer('auth can-i delete projects')).code, 1);
  assert.match(await refused(editor('token create --role admin --user ed')), /needs role admin: you are ed \(editor\)/u);

  const following = viewer(`logs ${PROJECT} -f`);
  const ids = new Map((await shown(admin('token list'))).split('\n').map((row) => [row.split(/\s+/u)[2], row.split(/\s+/u)[0] ?? '']));
  for (const user of ['ed', 'vi']) {
    await shown(admin(`token revoke ${ids.get(user)}`));
  }
  assert.match((await following).stderr, /revoked/u);
  for (const laptop of [editor, viewer]) {
    assert.match(await refused(laptop('get projects')), /there is no such token t[0-9a-f]{15} here: it was revoked/u);
  }
  const audit = await shown(admin('audit'));
  assert.match(audit, new RegExp(`^\\S+ +vi +[\\d.]+ +delete +Project/${PROJECT} +Refused 403$`, 'mu'));
  assert.match(audit, new RegExp(`^\\S+ +op +[\\d.]+ +exec +Project/${PROJECT} +Done 101$`, 'mu'));
  assert.doesNotMatch(audit, TOKEN);
  assert.equal(await shown(admin(`delete project ${PROJECT}`)), `project/${PROJECT} deleted\n`);
});
