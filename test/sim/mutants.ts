/**
 * Plants faults into a copy of the code, one at a time, and counts the seeds that the simulator needs to find each: a mutant that lives
 * means a weak checker.
 *
 *   npm run test:mutants [-- NAME…] [--seeds N]
 *
 * Exit code: 0 all were found, 1 some live.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

interface Mutant {
  readonly name: string;
  /** below src/ */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'leave no tombstone',
    file: 'server/nodes/node-service.ts',
    find: '      putOver(\n',
    replace: '      ...((..._tombstone: unknown[]) => [])(\n',
  },
  {
    name: 'judge nodes by the wall clock',
    file: 'server/nodes/node-registry.ts',
    find: 'const isBack = this.#leases.renew(entry, nowMs);',
    replace: 'const isBack = this.#leases.renew(entry, nowMs + this.#clock.wallMs() - Date.UTC(2026, 0, 1) - nowMs);',
  },
  {
    name: 'forget the grace after a start',
    file: 'server/nodes/node-registry.ts',
    find: 'this.#leases.renew(fresh, nowMs); // a full timeout',
    replace: 'this.#leases.renew(fresh, nowMs - this.heartbeatTimeoutMs + 5000); // a full timeout',
  },
  {
    name: 'blame a stall of the server on the nodes',
    file: 'server/nodes/node-registry.ts',
    find: 'this.#leases.credit(gapMs - TICK_MS);',
    replace: '',
  },
  {
    name: 'skip the assignment check',
    file: 'server/projects/project-phase.ts',
    find: 'report.assignment !== undefined && report.assignment !== status.assignment',
    replace: 'report.assignment === -1',
  },
  {
    name: 'kill what is fenced too late',
    file: 'api/project/fence.ts',
    find: 'const killAtMs = sentAtMs + spanMs -',
    replace: 'const killAtMs = sentAtMs + spanMs + 60_000 -',
  },
  {
    name: 'move what is fenced without waiting for its fence',
    file: 'server/projects/node-loss.ts',
    find: 'fence ? fenceLeftMs : -Infinity)',
    replace: '-Infinity)',
  },
  {
    name: 'remove Managed volumes too',
    file: 'agent/reconcile/plan/plan-teardown.ts',
    find: "return owner.volumeType === 'Ephemeral' && !isManagedNow;",
    replace: 'return true;',
  },
  {
    name: 'take a Managed volume for an Ephemeral one',
    file: 'agent/reconcile/desired.ts',
    find: "{ name, type = 'Ephemeral' }: Volume, owner: Owner): readonly DesiredVolume[] {\n  if (type ===",
    replace: "{ name, type: given }: Volume, owner: Owner): readonly DesiredVolume[] {\n  const type = 'Ephemeral';\n  if (given ===",
  },
  {
    name: 'skip a change in a watch',
    file: 'store/kind-log.ts',
    find: '(this.#changes[middle]?.version ?? 0) <= version)',
    replace: '(this.#changes[middle]?.version ?? 0) <= version + 1)',
  },
  {
    name: 'take an old container for a new one',
    file: 'agent/reconcile/plan/service-view.ts',
    find: 'if (!isGoing && container.owner.configHash !== service.configHash) {',
    replace: 'if (isGoing) {',
  },
  {
    name: 'place Projects on cordoned nodes',
    file: 'server/scheduler/filters.ts',
    find: "return spec.unschedulable || status.state === 'Draining' ? 'Draining' : undefined;",
    replace: 'return undefined;',
  },
  {
    name: 'clear away when the node was deleted',
    file: 'agent/compose/link.ts',
    find: "onDeleted: () => (standing.current = 'deleted'),",
    replace: "onDeleted: () => void ((standing.current = 'deleted'), parts.supervision.assign([], 'server')),",
  },
  {
    name: 'let an ex-leader go on writing',
    file: 'server/cluster/leader-record.ts',
    find: "const [, ...results] = await store.commit([{ op: 'check', kind: KIND, name: NAME, expectedVersion }, ...writes]);",
    replace: 'const results = await store.commit(writes);',
  },
  {
    name: 'leave a second network of one name',
    file: 'agent/reconcile/plan/plan-infrastructure.ts',
    find: 'const surplus = own.networks.filter((other) => other !== network);',
    replace: 'const surplus = own.networks.filter((other) => other.name !== desired.network.name);',
  },
  {
    name: 'tell Running before the health check passed',
    file: 'agent/reconcile/plan/service-view.ts',
    find: "return kind === 'unchecked' || kind === 'healthy' ? 'running' : kind;",
    replace: "return kind === 'unhealthy' ? kind : 'running';",
  },
  {
    name: 'start a service before what it depends on',
    file: 'agent/reconcile/plan/service-view.ts',
    find: "  if (life === 'ended' && condition !== 'Started') {",
    replace: "  if (life !== 'ended') {\n    return 'met';\n  }\n  if (condition !== 'Started') {",
  },
  {
    name: 'run again what is done',
    file: 'agent/reconcile/plan/service-view.ts',
    find: "  if (state.exitCode === 0) {\n    return 'completed';",
    replace: "  if (state.exitCode === 0 && restartPolicy === 'Never') {\n    return 'completed';",
  },
  {
    name: 'start what is there anew after a restart of the agent',
    file: 'agent/reconcile/project-loop.ts',
    find: '    for (const step of steps) {\n',
    replace:
      '    const begun = ((globalThis as { begun?: WeakSet<object> }).begun ??= new WeakSet());\n' +
      '    for (const { id, state } of begun.has(this) ? [] : (this.#observed?.containers ?? [])) {\n' +
      "      state.isRunning && this.#runner.start({ kind: 'stopContainer', service: 'web', containerId: id, graceMs: 1000 });\n" +
      '    }\n' +
      '    begun.add(this);\n' +
      '    for (const step of steps) {\n',
  },
  {
    name: 'never move off a lost node',
    file: 'server/projects/node-loss.ts',
    find: "  if (action !== 'Reschedule' || isHeld) {",
    replace: '  if (afterMs >= 0 || isHeld) {',
  },
  {
    name: 'move what is to be kept',
    file: 'server/projects/node-loss.ts',
    find: "  if (action !== 'Reschedule' || isHeld) {",
    replace: '  if (isHeld) {',
  },
  {
    name: 'move before its time',
    file: 'server/projects/node-loss.ts',
    find: '  return Math.max(silenceMs + afterMs - loss.lostForMs, fence',
    replace: '  return Math.max((silenceMs + afterMs) / 2 - loss.lostForMs, fence',
  },
  {
    name: 'forget that time is up',
    file: 'server/projects/project-verdict.ts',
    find: 'const expiry = deriveExpiry(project);',
    replace: 'const expiry = nowMs < 0 ? deriveExpiry(project) : undefined;',
  },
  {
    name: 'end what is to expire before its time is up',
    file: 'server/projects/project-verdict.ts',
    find: 'expiry.atMs <= nowMs',
    replace: 'expiry.atMs - 20_000 <= nowMs',
  },
  {
    name: 'move what holds data of its own',
    file: 'api/project/loss-policy.ts',
    find: "(isStateless ? 'Reschedule' : 'Keep')",
    replace: "'Reschedule'",
  },
  {
    name: 'say that a node was deleted, and leave it there',
    file: 'server/nodes/node-service.ts',
    find: 'const [deleted] = await store.commit([',
    replace: 'const [deleted] = await (async (..._: unknown[]) => [])([',
  },
  {
    name: 'answer before it is stored',
    file: 'server/projects/rewrite-project.ts',
    find: '  const [object]: readonly (StoredObject | undefined)[] = await store.commit(writes);\n  return object as ProjectObject;',
    replace:
      "  const [first] = writes;\n  const stored = store.commit(writes);\n  stored.catch(() => undefined);\n  const object = first !== undefined && 'object' in first ? first.object : (await stored)[0];\n  return { ...object, metadata: { ...object?.metadata, resourceVersion: '1' } } as ProjectObject;",
  },
  {
    name: 'give an assignment the number of the one before',
    file: 'server/projects/project-status.ts',
    find: 'assignment: status.assignment + 1,',
    replace: 'assignment: Math.max(1, status.assignment),',
  },
  {
    name: 'ask nothing of what a drain moves',
    file: 'server/projects/move-service.ts',
    find: 'const asked = here.filter(({ metadata }) => movable.has(metadata.name))',
    replace: 'const asked = here.filter(({ metadata }) => movable.has(`no ${metadata.name}`))',
  },
  {
    name: 'never start the guard again',
    file: 'agent/session/self-fence.ts',
    find: '      if (isNeeded) {',
    replace: '      if (isNeeded && nowMs < 0) {',
  },
  {
    name: 'forget what an earlier process granted',
    file: 'server/nodes/fence-ledger.ts',
    find: 'return { untilMs: Math.ceil(startedAtMs + Math.max(timeoutMs, earlierTimeoutMs)),',
    replace: 'return { untilMs: startedAtMs - 600_000,',
  },
  {
    name: 'watch from one version too late',
    file: 'agent/session/assignment-watcher.ts',
    find: '...(version !== undefined && { since: version })',
    replace: '...(version !== undefined && { since: String(Number(version) + 1) })',
  },
  {
    name: 'believe that a renewal is a start',
    file: 'server/nodes/tombstones.ts',
    find: 'if (renewal === true || (',
    replace: 'if ((',
  },
  {
    name: 'never say that it is a renewal',
    file: 'agent/session/registration.ts',
    find: '...(standing.hasRegistered && { renewal: true }),',
    replace: '',
  },
  {
    name: 'forget which boots had registered when a node was deleted',
    file: 'server/nodes/node-service.ts',
    find: 'boots: holding === undefined ? [] : bootsOf(holding) }',
    replace: 'boots: [] }',
  },
  {
    name: 'believe what runs on a node that is NotReady',
    file: 'server/projects/project-service.ts',
    find: "return node !== undefined && node.status.state !== 'NotReady';",
    replace: 'return node !== undefined;',
  },
  {
    name: 'grant what is being given away',
    file: 'server/nodes/fence-ledger.ts',
    find: 'if (this.#closed.has(node) || ',
    replace: 'if (',
  },
  {
    name: 'clear away before the server has said what is here',
    file: 'agent/reconcile/reconciler.ts',
    find: "    this.#isAuthoritative ||= source === 'server';",
    replace: '    this.#isAuthoritative = true;',
  },
];

/** @returns the seeds it took, 0 where a kept plan finds it; undefined: nothing found it */
async function hunt(mutant: Mutant, seeds: number): Promise<{ readonly seeds: number | undefined; readonly word: string }> {
  const root = join(import.meta.dirname, '../..');
  const folder = mkdtempSync(join(tmpdir(), 'cara-mutant-'));
  try {
    ['src', 'test', 'package.json'].forEach((name) => cpSync(join(root, name), join(folder, name), { recursive: true }));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const path = join(folder, 'src', mutant.file);
    const text = readFileSync(path, 'utf8');
    if (!text.includes(mutant.find)) {
      throw new Error(`Cannot plant "${mutant.name}" as src/${mutant.file} no longer holds: ${mutant.find}`);
    }
    writeFileSync(path, text.replace(mutant.find, mutant.replace));
    const args = ['test/sim/main.ts', '--seeds', String(seeds), '--kept', '--stop-at-first', '--no-shrink', '--jobs', '1'];
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let found: { readonly seeds: number; readonly word: string } | undefined;
    for await (const line of createInterface({ input: child.stdout })) {
      const [, kind, seed, word = ''] = /^(seed|kept plan) (.+?) failed: (.*)$/u.exec(line) ?? [];
      found ??= seed === undefined ? undefined : { seeds: kind === 'seed' ? Number(seed) : 0, word };
    }
    return found ?? { seeds: undefined, word: '' };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { seeds: { type: 'string', default: '300' } }, allowPositionals: true });
  const wanted = MUTANTS.filter(({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)));
  let living = 0;
  for (const mutant of wanted) {
    const { seeds, word } = await hunt(mutant, Number(values.seeds));
    living += seeds === undefined ? 1 : 0;
    process.stdout.write(
      `${seeds === undefined ? 'LIVES' : (seeds === 0 ? 'kept plan' : `${seeds} seeds`).padEnd(9)} ${mutant.name}${word === '' ? '' : `: ${word.slice(0, 110)}`}\n`,
    );
  }
  process.stdout.write(`${wanted.length} mutants, ${living} live\n`);
  return living === 0 ? 0 : 1;
}

if (import.meta.main) {
  process.exitCode = await main();
}
