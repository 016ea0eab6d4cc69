/**
 * Puts Docker on a Debian or Ubuntu machine that has none, without starting it.
 *
 * Owns     /usr/sbin/policy-rc.d while apt runs, where there was none: that file is how a package is kept from starting its service.
 * Source   Debian policy-layer of invoke-rc.d: exit code 101 means "action forbidden by policy".
 */
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { lastLines, run, type RunResult } from './run.ts';

const POLICY_FILE = '/usr/sbin/policy-rc.d';
const POLICY = '#!/bin/sh\n# Temporary, by the set-up of Caravanserai: no service starts while Docker is being installed.\nexit 101\n';
const APT_LISTS = '/var/lib/apt/lists';
const APT_TIMEOUT_MS = 10 * 60_000;

/** program -> Debian package that has it */
const NEEDED: Readonly<Record<string, string>> = { dockerd: 'docker.io', iptables: 'iptables', ip: 'iproute2' };

/**
 * Installs the engine where it is missing; no service is started by it.
 * @param say told each step in one line
 * @throws {Error} whose message says what to install, where this cannot be done here
 */
export async function ensureDockerInstalled(say: (line: string) => void): Promise<void> {
  const missing = Object.keys(NEEDED).filter((program) => findProgram(program) === undefined);
  if (missing.length === 0) {
    return;
  }
  const packages = missing.map((program) => NEEDED[program] ?? program);
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) {
    const how =
      process.platform === 'linux'
        ? `install ${packages.join(', ')} (or Docker Engine from docs.docker.com) and run again`
        : 'start Docker and run again';
    throw new Error(`Cannot start a Docker engine as ${missing.join(', ')} is missing: ${how}`);
  }
  await installPackages(packages, say);
}

/** The program's path, looked for where daemons are too (PATH of a plain user has no sbin). */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, name))
    .find(isExecutable);
}

async function installPackages(packages: readonly string[], say: (line: string) => void): Promise<void> {
  if (!(await hasCandidates(packages))) {
    say('Updating the list of packages (apt-get update)');
    await apt(['update']);
  }
  say(`Installing ${packages.join(', ')} (apt-get install; no service is started)`);
  let result = await installQuietly(packages);
  if (result.code !== 0) {
    say('Updating the list of packages and trying again (apt-get update)');
    await apt(['update']);
    result = await installQuietly(packages);
  }
  if (result.code !== 0) {
    const said = lastLines(`${result.stdout}\n${result.stderr}`, 3);
    throw new Error(`Cannot install ${packages.join(', ')} with apt-get: ${said}; install Docker yourself and run again`);
  }
}

async function installQuietly(packages: readonly string[]): Promise<RunResult> {
  const isOurs = !existsSync(POLICY_FILE) || readFileSync(POLICY_FILE, 'utf8') === POLICY; // ours: left by a run that was killed
  if (isOurs) {
    writeFileSync(POLICY_FILE, POLICY, { mode: 0o755 });
  }
  try {
    return await apt(['install', '-y', '--no-install-recommends', ...packages]);
  } finally {
    if (isOurs) {
      rmSync(POLICY_FILE, { force: true });
    }
  }
}

async function hasCandidates(packages: readonly string[]): Promise<boolean> {
  if (!existsSync(APT_LISTS)) {
    return false;
  }
  const { stdout } = await run('apt-cache', ['policy', ...packages], { env: { ...process.env, LC_ALL: 'C' }, timeoutMs: 60_000 });
  return stdout.split('\n').filter((line) => /^ +Candidate: (?!\(none\))/u.test(line)).length === packages.length;
}

async function apt(args: readonly string[]): Promise<RunResult> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  return await run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], { env, timeoutMs: APT_TIMEOUT_MS });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
