/** caractrl at a server that asks for credentials, as a person types it. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { startApiOn, type ApiServer } from '../support/worlds/api.ts';
import { findAdminToken } from '../support/worlds/access-world.ts';
import { ctl, type CtlOptions, type CtlResult } from '../support/worlds/ctl.ts';
import { makeScratch } from '../support/scratch.ts';

const TERMINAL = { columns: 120, rows: 24 };
const scratch = makeScratch();
const file = path.join(scratch.path, 'cara', 'config.yaml');
let api: ApiServer;
let admin: string;
let url: string;

before(async () => {
  let shown = '';
  api = await startApiOn({ clock: systemClock, config: { AUTH: 'token' }, listen: true, tell: (text) => void (shown += text) });
  admin = findAdminToken(shown);
  url = api.server.url;
});
after(async () => {
  await api[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const run = (line: string, options: CtlOptions = {}): Promise<CtlResult> => ctl([...line.split(' '), '--config', file], options);

async function done(line: string, options: CtlOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(line, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('without credentials one is told to log in', async () => {
  const { code, stderr } = await ctl(['get', 'nodes'], { server: url });
  assert.equal(code, 1);
  assert.match(stderr, /^error: Cannot GET \/api\/v1\/nodes as this server asks for credentials and there were none/u);
  assert.match(stderr, /\nhint: log in with: caractrl login SERVER/u);
});

test('login asks for the token where a person sits, keeps it for its owner alone, and is used from then on', async () => {
  const stdout = await done(`login ${url} --name home`, { terminal: TERMINAL, hidden: `${admin}\r` });
  assert.match(stdout, /^logged in at http:\S+ as admin \(admin\); context home is the current one\n$/u);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(await done('get nodes -o name'), '');
  assert.match(await done('auth whoami'), /^user +admin\nrole +admin\ntoken +t[0-9a-f]{15}\nserver +http/u);
});

test('a token that is none, or of nobody, is not kept', async () => {
  const before = readFileSync(file, 'utf8');
  for (const [hidden, why] of [
    ['hunter2', /must look like cara_ID_SECRET: it does not/u],
    ['', /nothing was given/u],
    [`${admin.slice(0, -1)}${admin.endsWith('A') ? 'B' : 'A'}`, /there is no such token/u],
  ] as const) {
    const { code, stderr } = await run(`login ${url}`, { terminal: TERMINAL, hidden });
    assert.equal(code, 1);
    assert.match(stderr, why);
    assert.ok(hidden === '' || !stderr.includes(hidden));
  }
  assert.equal(readFileSync(file, 'utf8'), before);
});

test('token create, list and revoke: shown once, listed without, ended at once', async () => {
  const made = await run('token create --role viewer --user alice --ttl 2h --allow secrets -l team=a');
  assert.match(made.stdout, /^cara_t[0-9a-f]{15}_[A-Za-z0-9_-]{43}\n$/u, 'nothing but the token, for a pipe');
  assert.match(made.stderr, /shown once; it is good until \S+ \(caractrl token revoke t[0-9a-f]{15} ends it\)/u);
  const token = made.stdout.trim();
  const id = token.slice(5, 21);
  const listed = await done('token list');
  assert.match(listed, /^ID +ROLE +USER +LIMITS +AGE +ENDS\n/u);
  assert.match(listed, new RegExp(`\\n${id} +viewer +alice +\\+secrets team=a +\\ds +in 1h\\n`, 'u'));
  assert.ok(!listed.includes(token.slice(-43)));
  const asAlice = { env: { CARA_TOKEN: token } };
  assert.match(await done('auth whoami', asAlice), /user +alice\nrole +viewer\nrights +secrets\nlimit +team=a\n/u);
  assert.equal((await run('delete project shop', asAlice)).code, 1);
  assert.match(await done(`token revoke ${id}`), /^token t\S+ of alice revoked\n$/u);
  assert.match((await run('get nodes', asAlice)).stderr, /there is no such token/u);
  assert.match((await run(`token revoke ${id}`)).stderr, /Cannot find token/u);
});

test('token create --role node prints the whole command for the worker', async () => {
  const { stdout, stderr } = await run('token create --role node --node worker-01 --uses 2');
  assert.match(stdout, /^SERVER_URL=http:\/\/127\.0\.0\.1:\d+ NODE_NAME=worker-01 JOIN_TOKEN=cara_t\S+ cara-agent\n$/u);
  assert.match(stderr, /good for 2 machines until/u);
  assert.match(stderr, /SERVER_URL must be one that the worker reaches/u);
});

test('what is wrong with a token is told in words', async () => {
  for (const [line, code, why] of [
    ['token', 2, /known are create, list and revoke/u],
    ['token create', 2, /no role is given/u],
    ['token create --role viewer', 1, /\/user is required/u],
    ['token create --role king --user a', 1, /\/role must be one of admin, editor, viewer, node/u],
    ['token create --role node --uses many', 2, /--uses as it must be a whole number/u],
    ['token create --role viewer --user a --allow everything', 1, /\/rights\/0 must be one of exec, secrets, privileged/u],
    ['token revoke', 2, /no id is given/u],
  ] as const) {
    const result = await run(line);
    assert.equal(result.code, code, `${line}: ${result.stderr}`);
    assert.match(result.stderr, why);
  }
});

test('auth can-i says yes or no, and why, and so does its exit code', async () => {
  const token = (await done('token create --role editor --user ed --name-prefix team-')).trim();
  const asEd = { env: { CARA_TOKEN: token } };
  for (const [question, code, why] of [
    ['create projects', 0, /within names that begin with team-/u],
    ['delete project/team-shop', 0, /you are ed/u],
    ['delete project/shop', 1, /limited to names that begin with team-/u],
    ['exec projects', 1, /needs the right exec/u],
    ['reveal secrets', 1, /needs the right secrets/u],
    ['drain node', 1, /needs role admin/u],
    ['get nodes', 0, /you are ed/u],
  ] as const) {
    const result = await run(`auth can-i ${question}`, asEd);
    assert.deepEqual([result.code, result.stdout], [code, code === 0 ? 'yes\n' : 'no\n'], question);
    assert.match(result.stderr, why);
  }
  assert.equal((await run('auth can-i fly projects', asEd)).code, 2);
  assert.equal((await run('auth can-i get moons', asEd)).code, 2);
});

test('contexts: several servers, one current, another for one command; comments and what is not ours stay', async () => {
  const other = path.join(scratch.path, 'other.yaml');
  const start = `# mine\ncurrentContext: a\ncontexts:\n  - name: a # lab\n    server: http://127.0.0.1:9\n    extra: kept\n  - { name: b, server: ${url}, token: ${admin} }\n`;
  writeFileSync(other, start, { mode: 0o600 });
  const at = (line: string, options: CtlOptions = {}) => ctl([...line.split(' '), '--config', other], options);
  const { stdout } = await at('config get-contexts');
  assert.match(stdout, /^CURRENT +NAME +SERVER +TOKEN\n\* +a +http:\/\/127\.0\.0\.1:9 +none\n +b +http:\S+ +yes\n$/u);
  assert.equal((await at('get nodes')).code, 1);
  assert.equal((await at('get nodes --context b')).code, 0);
  assert.equal((await at('get nodes', { server: `${url}/` })).code, 0, 'the token of the context whose server that is');
  assert.match((await at('get nodes --context c')).stderr, /Cannot find the context "c" in .*: known are a, b/u);
  assert.equal((await at('get nodes --context b', { server: url })).code, 2);
  assert.equal((await at('config use-context b')).code, 0);
  assert.equal((await at('config current-context')).stdout, 'b\n');
  const text = readFileSync(other, 'utf8');
  assert.ok(text.includes('# mine') && text.includes('# lab') && text.includes('extra: kept'), text);
  assert.equal((await at('config delete-context b')).code, 0);
  assert.ok(!readFileSync(other, 'utf8').includes(admin));
  assert.match((await at('config use-context b')).stderr, /known are a/u);
  assert.equal((await at('config nonsense')).code, 2);
});

test('the file of a context that others can read is warned of, and no list shows a token', async () => {
  const other = path.join(scratch.path, 'open.yaml');
  const tokenFile = path.join(scratch.path, 'token');
  writeFileSync(tokenFile, `${admin}\n`);
  const login = await ctl(['login', url, '--token-file', tokenFile, '--config', other]);
  assert.equal(login.code, 0, login.stderr);
  assert.equal(statSync(other).mode & 0o777, 0o600);
  chmodSync(other, 0o644);
  for (const format of ['table', 'json', 'yaml', 'name', 'wide']) {
    assert.ok(!(await ctl(['config', 'get-contexts', '-o', format, '--config', other])).stdout.includes(admin.slice(-43)));
  }
  const piped = await ctl(['login', url, '--config', other], { stdin: `${admin}\n` });
  assert.equal(piped.code, 0, piped.stderr);
  assert.equal(statSync(other).mode & 0o777, 0o600, 'written anew, it is its owner’s alone');
});

test('audit shows who did what, and what was refused', async () => {
  const token = (await done('token create --role viewer --user vera')).trim();
  await run('delete node worker-01', { env: { CARA_TOKEN: token } });
  const table = await done('audit --since 10m --who vera -o wide');
  assert.match(table, /^TIME +WHO +FROM +VERB +OBJECT +OUTCOME +REQUEST +DETAIL\n/u);
  assert.match(table, /vera +127\.0\.0\.1 +delete +Node\/worker-01 +Refused 403 +DELETE \/api\/v1\/nodes\/worker-01/u);
  const json = JSON.parse(await done(`audit --object token/x -o json`).catch(() => '{"items":[]}')) as { items: unknown[] };
  assert.deepEqual(json.items, []);
  assert.match((await run('audit --since yesterday')).stderr, /\/since must be a duration back from now/u);
  assert.match((await run('audit', { env: { CARA_TOKEN: token } })).stderr, /needs role admin: you are vera \(viewer\)/u);
});

test('node joined, approve and reject', async () => {
  assert.match((await run('node joined')).stderr, /^No machine has joined: caractrl token create --role node /u);
  const join = /JOIN_TOKEN=(\S+)/u.exec(await done('token create --role node'))?.[1] ?? '';
  const registered = await api.call('POST', '/nodes/w-1/register', {
    body: { publicKey: 'A'.repeat(43), hostname: 'pi' },
    headers: { authorization: `Bearer ${join}` },
  });
  assert.equal(registered.status, 200);
  assert.match(await done('node joined'), /^NODE +STATE +HOSTNAME +FROM +AGE +KEY\nw-1 +Approved +pi +127\.0\.0\.1 +\ds +\S{43}\n$/u);
  assert.match(await done('node approve w-1'), /^node\/w-1 approved/u);
  assert.match(await done('node reject w-1'), /^node\/w-1 rejected/u);
  assert.match(await done('node joined'), /\nw-1 +Rejected +pi /u);
  assert.match(
    (await run('node approve w-1')).stderr,
    /Cannot approve node "w-1" as its machine was rejected: run "caractrl token create/u,
  );
  assert.equal((await run('node fly w-1')).code, 2);
});

test('login at a server that asks for nothing asks for nothing', async () => {
  await using open = await startApiOn({ clock: systemClock, listen: true });
  const other = path.join(scratch.path, 'none.yaml');
  const { code, stdout } = await ctl(['login', open.server.url, '--config', other]);
  assert.equal(code, 0);
  assert.match(stdout, /as anybody: this server asks for no credentials; context 127\.0\.0\.1 is the current one/u);
});
