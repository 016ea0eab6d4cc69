/**
 * Sets up the packages and hands over to Node 26. Runs on Node 18 without packages, hence plain JavaScript.
 *
 * Owns     node_modules and the marker in it (a hash of the lock file), and the lock folder beside it.
 * Never    touches node_modules without holding the lock, so that two runs at once do not tear it apart.
 * Callers  bootstrap.mjs.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { acquireLock } from './setup-lock.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const REQUIRED_MAJOR = 26;

/** A failure that is told in one sentence, after `output` where there is some. */
class SetupError extends Error {
  constructor(message, output = '') {
    super(message);
    this.output = output;
  }
}

/** @param {string[]} argv the script to run, from the caller's folder or the repository's root, and its arguments; none: only set up */
export async function main(argv) {
  try {
    const node = await setUp(ROOT);
    const [script, ...args] = argv;
    if (script !== undefined) {
      await runScript(node, resolveScript(script), args);
    }
  } catch (error) {
    if (!(error instanceof SetupError)) {
      throw error;
    }
    process.stderr.write(`${error.output === '' ? '' : `${error.output}\n`}error: ${error.message}\n`);
    process.exitCode = 1;
  }
}

function resolveScript(script) {
  const found = [path.resolve(script), path.resolve(ROOT, script)].find((candidate) => existsSync(candidate));
  if (found === undefined) {
    throw new SetupError(`Cannot run script as it is not there: current value is ${JSON.stringify(script)}`);
  }
  return found;
}

/** Installs what package-lock.json asks for, where it is not there yet. @returns {Promise<string>} the Node >= 26 to use */
export async function setUp(root) {
  const wanted = lockHash(root);
  if (readMarker(root) !== wanted) {
    const release = await acquireLock(path.join(root, '.setup.lock'), (pid) =>
      say(`Waiting for another set-up to finish (pid ${pid})`),
    ).catch((error) => {
      throw new SetupError(`Cannot take the lock of the set-up: ${error.message}`);
    });
    try {
      await installUnlessDone(root, wanted);
    } finally {
      release();
    }
  }
  return findNode(root);
}

async function installUnlessDone(root, wanted) {
  if (readMarker(root) === wanted) {
    return; // whoever held the lock before has done it
  }
  if (!isInstalled(readJson(path.join(root, 'package-lock.json')), readJson(path.join(root, 'node_modules/.package-lock.json')))) {
    await installPackages(root);
  }
  linkNode(root);
  findNode(root, { check: true });
  warmCompileCache(root);
  writeFileSync(markerPath(root), wanted);
}

/** Starts each program once, so that its first real start finds compiled code and does not carry the type stripper (20 MB) for its life. */
function warmCompileCache(root) {
  for (const program of ['cara-server', 'cara-agent', 'caractrl']) {
    spawnSync(path.join(root, 'bin', program), ['--version'], { stdio: 'ignore', timeout: 10_000 }); // if it fails, that start is only slower
  }
}

/**
 * Several packages of ours have a program `node`, one a system, of which npm installs the one that fits. npm 10 then takes the link
 * away again with the ones that do not.
 */
function linkNode(root) {
  const packages = path.join(root, 'node_modules');
  const link = path.join(packages, '.bin/node');
  const fitting = readdirSync(packages).find(
    (name) => /^node-(?:bin-)?[a-z]+-[a-z0-9]+$/u.test(name) && existsSync(path.join(packages, name, 'bin/node')),
  );
  if (fitting !== undefined && !existsSync(link)) {
    rmSync(link, { force: true }); // a link to nowhere
    symlinkSync(path.join('..', fitting, 'bin/node'), link);
  }
}

async function installPackages(root) {
  const startedMs = performance.now();
  const endProgress = showProgress('Setting up: installing the packages with npm (once)');
  const { node, npm } = findNpm();
  // --include: a user's omit=dev or omit=optional would leave out Node 26 itself
  const options = ['--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'];
  const { code, output } = await run(node, [...npm, 'ci', ...options], root);
  endProgress();
  if (code !== 0) {
    throw new SetupError(
      `Cannot install the packages as npm failed (exit code ${code}): see its last lines above; with the network mended, run the same command again`,
      lastLines(output, 15),
    );
  }
  say(`Setting up: done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** The npm that started us, so that its version and settings are the user's; else the one on PATH. */
function findNpm() {
  const { npm_execpath: execPath, npm_node_execpath: nodePath } = process.env;
  if (execPath !== undefined && /npm-cli\.[cm]?js$/u.test(execPath) && existsSync(execPath)) {
    return { node: nodePath !== undefined && existsSync(nodePath) ? nodePath : process.execPath, npm: [execPath] };
  }
  return { node: 'npm', npm: [] };
}

function run(command, args, cwd) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const collect = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const stopForwarding = forwardSignals(child);
    child.on('error', (error) => resolve({ code: error.code, output: error.message }));
    child.on('close', (code, signal) => {
      stopForwarding();
      resolve({ code: code ?? signal, output });
    });
  });
}

/**
 * Runs the script and takes over its exit code. A channel to it stays open: when this process is killed outright, the script gets
 * `disconnect` and can clean up.
 */
async function runScript(node, script, args) {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', script, ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  const stopForwarding = forwardSignals(child);
  const { code, signal } = await new Promise((resolve, reject) => {
    child.on('error', (error) =>
      reject(new SetupError(`Cannot start ${node}: ${error.message}; to mend it, remove node_modules and run again`)),
    );
    child.on('exit', (exitCode, exitSignal) => resolve({ code: exitCode, signal: exitSignal }));
  });
  stopForwarding();
  if (child.connected) {
    child.disconnect();
  }
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
}

/** Each signal goes to the child once. On a terminal the child has it already, and takes two within a second for one. */
function forwardSignals(child) {
  const forward = {
    SIGINT: () => void child.kill('SIGINT'),
    SIGTERM: () => void child.kill('SIGTERM'),
    SIGHUP: () => void child.kill('SIGHUP'),
  };
  // stays until removed, so that a second Ctrl-C does not kill this process before the child has cleaned up
  const listeners = Object.entries(forward).map(([signal, send]) => {
    let isSent = false;
    const listener = () => {
      if (!isSent) {
        isSent = true;
        send();
      }
    };
    process.on(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => listeners.forEach((remove) => remove());
}

/** The Node of the packages, else this one or the system's where it is new enough (a system that npm's builds do not fit). */
function findNode(root, { check = false } = {}) {
  const installed = path.join(root, 'node_modules/.bin/node');
  if (existsSync(installed) && (!check || majorOf(installed) >= REQUIRED_MAJOR)) {
    return installed;
  }
  const other = [process.execPath, 'node'].find((candidate) => majorOf(candidate) >= REQUIRED_MAJOR);
  if (other === undefined) {
    throw new SetupError(
      `Cannot run as npm has no Node ${REQUIRED_MAJOR} for this system (${process.platform} ${process.arch}): install Node ${REQUIRED_MAJOR} or newer yourself and run again`,
    );
  }
  return other;
}

function majorOf(node) {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  return Number(/^v(\d+)\./u.exec(stdout ?? '')?.[1] ?? 0);
}

/** What the marker must say: the lock file's hash, and the system, as a shared folder may be used from two. */
export function lockHash(root) {
  const hash = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
  return `${hash} ${process.platform} ${process.arch}\n`;
}

const markerPath = (root) => path.join(root, 'node_modules/.caravanserai-setup');

function readMarker(root) {
  try {
    return readFileSync(markerPath(root), 'utf8');
  } catch {
    return undefined; // never set up, or interrupted
  }
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // isInstalled() takes it for "not installed"
  }
}

/**
 * True when npm's own record of node_modules says that it holds exactly what the lock file asks for: after `npm install` by hand,
 * installing anew would only pull the packages away from under whoever is using them.
 * @param {{packages?: Record<string, {version?: string, optional?: boolean}>}|undefined} lock package-lock.json
 * @param {typeof lock} hidden node_modules/.package-lock.json, which npm writes last
 */
export function isInstalled(lock, hidden) {
  if (lock?.packages === undefined || hidden?.packages === undefined) {
    return false;
  }
  const wanted = Object.entries(lock.packages).filter(([place]) => place !== '');
  const isThere = ([place, { version, optional }]) =>
    hidden.packages[place] === undefined ? optional === true : hidden.packages[place].version === version;
  return wanted.every(isThere) && Object.keys(hidden.packages).every((place) => lock.packages[place] !== undefined);
}

export function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** Says what goes on; on a terminal with a running count of seconds, so that it is seen to be alive. @returns ends it */
function showProgress(text) {
  if (!process.stderr.isTTY) {
    say(text);
    return () => undefined;
  }
  const startedMs = performance.now();
  const draw = () => process.stderr.write(`\r\u001b[K${text}   ${Math.floor((performance.now() - startedMs) / 1000)} s`);
  draw();
  const timer = setInterval(draw, 1000);
  return () => {
    clearInterval(timer);
    process.stderr.write('\n');
  };
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
