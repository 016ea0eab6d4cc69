/** The line between this host and another that is a network namespace: two addresses of a /30. It goes with the namespace. */
import { runOrThrow } from '../../../scripts/lib/run.ts';

const FAR_END = 'up0';

export interface HostLink {
  /** name of the end on this host, 15 characters at most, unlike any other's */
  readonly link: string;
  readonly netns: string;
  /** addresses of the two ends */
  readonly near: string;
  readonly far: string;
}

export async function linkHosts({ link, netns, near, far }: HostLink): Promise<void> {
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', FAR_END, 'netns', netns);
  await ip('addr', 'add', `${near}/30`, 'dev', link);
  await setLink(link, 'up');
  await ip('-n', netns, 'addr', 'add', `${far}/30`, 'dev', FAR_END);
  await ip('-n', netns, 'link', 'set', FAR_END, 'up');
}

export async function setLink(link: string, state: 'up' | 'down'): Promise<void> {
  await ip('link', 'set', link, state);
}

/** Lets nobody in from outside, as behind NAT: what the far host itself begins goes on. */
export async function refuseIncoming(netns: string): Promise<void> {
  const rule = ['-I', 'INPUT', '-i', FAR_END, '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'];
  await ip('netns', 'exec', netns, 'iptables', ...rule);
}

async function ip(...args: readonly string[]): Promise<void> {
  await runOrThrow('ip', args, { timeoutMs: 60_000 });
}
