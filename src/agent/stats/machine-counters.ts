/** What the machine has spent and carried since its start. Callers: stats-reader.ts. Source: proc(5). */

export interface MachineCounters {
  readonly cpuUsedMs?: number;
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
}

const TICK_MS = 10; // USER_HZ is 100 wherever Linux shows it

/** Those of containers, bridges and tunnels: what goes through them goes through a card as well, or never leaves the machine. */
const VIRTUAL = /^(?:lo|veth.*|docker\d*|br-.*|virbr.*|cni.*|flannel.*|tailscale.*|wg.*|tun.*|tap.*|dummy.*)$/u;

/** @param read a file's text; undefined where there is none */
export function readMachineCounters(read: (path: string) => string | undefined): MachineCounters {
  const cpuUsedMs = parseCpu(read('/proc/stat') ?? '');
  const network = parseNetwork(read('/proc/net/dev') ?? '');
  return { ...(cpuUsedMs !== undefined && { cpuUsedMs }), ...network };
}

/** All but idle and waiting for disks; guests are counted in user already. */
function parseCpu(text: string): number | undefined {
  const fields = /^cpu +(.*)$/mu.exec(text)?.[1]?.trim().split(/ +/u).map(Number);
  if (fields === undefined) {
    return undefined;
  }
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softirq + steal) * TICK_MS;
}

function parseNetwork(text: string): Omit<MachineCounters, 'cpuUsedMs'> {
  let [receivedBytes, sentBytes, cards] = [0, 0, 0];
  for (const [, name = '', rest = ''] of text.matchAll(/^ *([^:\s]+): *(.*)$/gmu)) {
    const fields = rest.trim().split(/ +/u).map(Number);
    if (!VIRTUAL.test(name) && fields.length >= 9) {
      receivedBytes += fields[0] ?? 0;
      sentBytes += fields[8] ?? 0;
      cards += 1;
    }
  }
  return cards === 0 ? {} : { receivedBytes, sentBytes };
}
