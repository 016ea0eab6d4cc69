/**
 * What a Docker engine does to the host's network outside its own folders, and how to undo it: chains and rules of iptables, the
 * FORWARD policy, IP forwarding, bridges. Needed only for an engine in the host's own network namespace.
 *
 * Never    touches a rule, chain or link that was there before, or that does not look like Docker's.
 * Source   libnetwork sets these up and leaves them in place when the engine stops.
 */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { argumentsOf, listProcesses, type ProcessRecord } from './process.ts';
import { run } from './run.ts';

const COMMANDS = ['iptables', 'ip6tables'] as const;
const SYSCTLS = ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding'] as const;
const DOCKER_LINK = /^(docker0|br-[0-9a-f]{12}|veth[0-9a-f]{7})$/u;

/** The host's network as far as an engine changes it. */
export interface NetworkSnapshot {
  readonly links: readonly string[];
  /** path below /proc/sys -> content */
  readonly sysctls: Readonly<Record<string, string>>;
  /** iptables or ip6tables -> what iptables-save printed; '' where there is no such command */
  readonly rules: Readonly<Record<string, string>>;
}

export async function takeNetworkSnapshot(): Promise<NetworkSnapshot> {
  const rules: Record<string, string> = {};
  for (const command of COMMANDS) {
    // -save lists the tables in use; `iptables -S` would load the others' kernel modules
    rules[command] = (await run(`${command}-save`, [], { timeoutMs: 10_000 })).stdout;
  }
  const sysctls = Object.fromEntries(SYSCTLS.map((file) => [file, readIfThere(file)]).filter(([, content]) => content !== undefined));
  return { links: readdirSync('/sys/class/net'), sysctls, rules };
}

/** Puts back what an engine changed since `before`. To be called when no engine runs in this network namespace any more. */
export async function restoreNetwork(before: NetworkSnapshot): Promise<void> {
  const now = await takeNetworkSnapshot();
  for (const link of now.links.filter((name) => DOCKER_LINK.test(name) && !before.links.includes(name))) {
    await run('ip', ['link', 'delete', link], { timeoutMs: 10_000 });
  }
  for (const command of COMMANDS) {
    for (const args of planRuleRemoval(before.rules[command] ?? '', now.rules[command] ?? '')) {
      await run(command, ['-w', '10', ...args], { timeoutMs: 20_000 });
    }
  }
  for (const [file, content] of Object.entries(before.sysctls)) {
    if (readIfThere(file) !== content) {
      writeFileSync(file, content);
    }
  }
}

interface Table {
  /** chain -> policy; '-' for a chain that somebody made */
  readonly policies: Map<string, string>;
  readonly rules: string[];
}

/**
 * The iptables commands, in order, that remove Docker's rules and chains in `now` that are not in `before`.
 * @param before output of iptables-save, as `now`
 */
export function planRuleRemoval(before: string, now: string): readonly (readonly string[])[] {
  const tablesBefore = parseSave(before);
  return [...parseSave(now)].flatMap(([name, table]) => {
    const old = tablesBefore.get(name) ?? { policies: new Map<string, string>(), rules: [] };
    const newChains = [...table.policies.keys()].filter((chain) => chain.startsWith('DOCKER') && !old.policies.has(chain));
    const kept = [...old.rules];
    const added = table.rules.filter((rule) => {
      const at = kept.indexOf(rule);
      return at === -1 ? true : (kept.splice(at, 1), false); // as a multiset: a rule may stand there twice
    });
    const removable = added.map(splitRule).filter((words) => isDockers(words) && !newChains.includes(words[1] ?? ''));
    const forward = table.policies.get('FORWARD');
    const forwardBefore = old.policies.get('FORWARD') ?? 'ACCEPT';
    return [
      ...removable.map((words) => ['-t', name, '-D', ...words.slice(1)]),
      ...newChains.map((chain) => ['-t', name, '-F', chain]),
      ...newChains.map((chain) => ['-t', name, '-X', chain]),
      ...(forward === undefined || forward === forwardBefore ? [] : [['-t', name, '-P', 'FORWARD', forwardBefore]]),
    ];
  });
}

/** True for a rule about one of Docker's chains or links, or its hairpin MASQUERADE of a container to itself. */
function isDockers(words: readonly string[]): boolean {
  const after = (option: string): string => words[words.indexOf(option) + 1] ?? '';
  const isHairpin = words.includes('-s') && after('-s') === after('-d') && after('-j') === 'MASQUERADE';
  return isHairpin || words.some((word) => word.startsWith('DOCKER') || DOCKER_LINK.test(word));
}

function parseSave(text: string): Map<string, Table> {
  const tables = new Map<string, Table>();
  let table: Table | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = { policies: new Map(), rules: [] };
      tables.set(line.slice(1).trim(), table);
    } else if (line.startsWith(':')) {
      const [chain = '', policy = ''] = line.slice(1).split(' ');
      table?.policies.set(chain, policy);
    } else if (line.startsWith('-A ')) {
      table?.rules.push(line.trim());
    }
  }
  return tables;
}

/** Splits a rule into arguments; iptables-save puts arguments with blanks in double quotes. */
function splitRule(rule: string): readonly string[] {
  return [...rule.matchAll(/"([^"]*)"|(\S+)/gu)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // no IPv6
  }
}

/** Engines in this network namespace: they live off the same chains and the same docker0. */
export function listOtherEngines(): readonly ProcessRecord[] {
  const ours = netnsOf(process.pid);
  return listProcesses((pid) => path.basename(argumentsOf(pid)[0] ?? '') === 'dockerd' && netnsOf(pid) === ours);
}

function netnsOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return ''; // gone
  }
}
