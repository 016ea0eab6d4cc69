/**
 * A fake of Tailscale's daemon: its LocalAPI on a unix socket, as far as we ask it. No machine of ours runs the real one, so what it
 * answers follows the source of tailscale/tailscale (ipn/localapi, ipn/ipnstate) and samples of `tailscale status --json`.
 *
 * Owns     one listening socket, until disposed of.
 */
import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';

export interface FakeTailscale extends AsyncDisposable {
  readonly socketPath: string;
  /** requests so far */
  readonly calls: number;
  /** connections that were closed by now: those who made them have read their answer */
  readonly closed: number;
  /** What is answered from now on: a status, or a handler of its own. */
  answer(next: object | RequestListener): void;
}

export async function startFakeTailscale(socketPath: string, first: object | RequestListener): Promise<FakeTailscale> {
  let current = first;
  let calls = 0;
  let closed = 0;
  const server = http.createServer((request, response) => {
    calls += 1;
    if (request.headers.host !== 'local-tailscaled.sock' || request.headers.origin !== undefined) {
      response.writeHead(403).end('invalid localapi request\n');
    } else if (typeof current === 'function') {
      (current as RequestListener)(request, response);
    } else if (request.method === 'GET' && request.url === '/localapi/v0/status') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(current));
    } else {
      response.writeHead(404).end('not found\n');
    }
  });
  server.on('connection', (socket) => socket.once('close', () => (closed += 1)));
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    get calls() {
      return calls;
    },
    get closed() {
      return closed;
    },
    answer: (next) => (current = next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Fields of a peer that a test changes. */
export interface PeerFields {
  readonly HostName?: string;
  readonly DNSName?: string;
  readonly TailscaleIPs?: readonly string[] | null;
  readonly CurAddr?: string;
  readonly Relay?: string;
  readonly PeerRelay?: string;
  readonly Active?: boolean;
}

/** A status as a daemon of 1.80 writes it, of a node "worker-01" with the server and a phone as peers. */
export function tailscaleStatus(changes: object = {}, server: PeerFields = {}): object {
  return {
    Version: '1.80.2-t5c3a1bd63',
    TUN: true,
    BackendState: 'Running',
    HaveNodeKey: true,
    AuthURL: '',
    TailscaleIPs: ['100.64.0.5', 'fd7a:115c:a1e0::5'],
    Self: {
      ...peer('worker-01', ['100.64.0.5', 'fd7a:115c:a1e0::5']),
      Addrs: ['203.0.113.5:41641', '192.168.1.5:41641'],
      InNetworkMap: true,
      InMagicSock: false,
      InEngine: false,
    },
    Health: ['Linux DNS configuration issue: /etc/resolv.conf overwritten'],
    MagicDNSSuffix: 'fleet.example.net',
    CurrentTailnet: { Name: 'fleet@example.net', MagicDNSSuffix: 'fleet.example.net', MagicDNSEnabled: true },
    CertDomains: null,
    Peer: {
      'nodekey:1f0c2e': { ...peer('localhost', ['100.64.0.9', 'fd7a:115c:a1e0::9']), DNSName: 'phone.fleet.example.net.', OS: 'android' },
      'nodekey:9ab43d': {
        ...peer('cara-server', ['100.64.0.1', 'fd7a:115c:a1e0::1']),
        CurAddr: '198.51.100.7:41641',
        Active: true,
        RxBytes: 48_120,
        TxBytes: 51_552,
        ...server,
      },
    },
    User: { '1': { ID: 1, LoginName: 'fleet@example.net', DisplayName: 'fleet', ProfilePicURL: '' } },
    ClientVersion: null,
    ...changes,
  };
}

function peer(name: string, addresses: readonly string[]): PeerFields & Readonly<Record<string, unknown>> {
  return {
    ID: `n${name}CNTRL`,
    PublicKey: 'nodekey:9ab43d',
    HostName: name,
    DNSName: `${name}.fleet.example.net.`,
    OS: 'linux',
    UserID: 1,
    TailscaleIPs: addresses,
    AllowedIPs: addresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`),
    Addrs: null,
    CurAddr: '',
    Relay: 'fra',
    PeerRelay: '',
    RxBytes: 0,
    TxBytes: 0,
    Created: '2026-01-12T09:14:25.123456789Z',
    LastWrite: '0001-01-01T00:00:00Z',
    LastSeen: '0001-01-01T00:00:00Z',
    LastHandshake: '0001-01-01T00:00:00Z',
    Online: true,
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: null,
    Capabilities: null,
    InNetworkMap: true,
    InMagicSock: true,
    InEngine: true,
  };
}
