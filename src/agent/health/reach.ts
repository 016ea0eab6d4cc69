/** Whether the agent can reach containers at their addresses at all. Callers: health-checker.ts. */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Why a check that was not answered says nothing of the container. @param address "" where it has none */
export function describeReach(address: string): string {
  return address === ''
    ? 'The container has no address on the network of its Project'
    : `The agent does not reach the container at ${address}, as the engine runs on another machine or in a network of its own: give the service a healthCheck.test, which the engine runs`;
}

/** Where the engine runs on this machine, its bridges are interfaces here, with an address in the network of each container. */
export function hasInterfaceNear(address: string): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  return Object.values(networkInterfaces()).some((addresses = []) =>
    addresses.some(({ cidr, internal }) => {
      const [network = '', bits = ''] = cidr?.split('/') ?? [];
      if (internal || network === '' || (isIP(network) === 6) !== (family === 'ipv6')) {
        return false;
      }
      const block = new BlockList();
      block.addSubnet(network, Number(bits), family);
      return block.check(address, family);
    }),
  );
}
