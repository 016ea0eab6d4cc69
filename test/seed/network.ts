/** A network between an agent and its server that can be cut: what is sent then arrives nowhere, and nobody is told. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

export interface Network extends AsyncDisposable {
  /** the server, seen through this network */
  readonly url: string;
  /** From now on nothing passes, in either direction; connections stay open, as they do when a cable is pulled. */
  cut(): void;
  /** Everything passes again; what was lost is lost, so its connections are broken. */
  heal(): void;
}

export async function startNetwork(serverUrl: string): Promise<Network> {
  const { hostname, port } = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  };
  const listener = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(from);
      from.on('data', (chunk) => isCut || to.write(chunk));
      from.on('close', () => isCut || to.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const breakAll = (): void => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    cut: () => (isCut = true),
    heal: () => {
      isCut = false;
      breakAll();
    },
    [Symbol.asyncDispose]: async () => {
      breakAll();
      listener.close();
      await once(listener, 'close');
    },
  };
}
