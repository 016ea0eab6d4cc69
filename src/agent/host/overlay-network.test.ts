import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import { startFakeTailscale, tailscaleStatus, type FakeTailscale } from '../../../test/support/network/fake-tailscale.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { VirtualClock } from '../../../test/support/time/virtual-clock.ts';
import { createOverlayNetwork, defaultAgentHost, type LookUp, type OverlayNetwork } from './overlay-network.ts';

const signal = new AbortController().signal;
const silent = pino({ level: 'silent' });
const OWN = { ip: '100.64.0.5', dnsName: 'worker-01.fleet.example.net' };
const noNames: LookUp = async () => {
  throw new Error('queryA ENOTFOUND');
};

interface World extends AsyncDisposable {
  readonly daemon: FakeTailscale;
  readonly clock: VirtualClock;
  readonly overlay: OverlayNetwork;
  /** the network part of what is read */
  network(): Promise<object | undefined>;
}

/** Ends every wait for a second try at once, as if the time had passed; the daemon's time limit never comes. */
class ImpatientClock extends VirtualClock {
  override async sleep(ms: number, until: AbortSignal): Promise<void> {
    if (ms === 250) {
      this.stall(ms);
      return;
    }
    await super.sleep(ms, until);
  }
}

interface WorldOptions {
  readonly clock?: VirtualClock;
  readonly status?: object;
  readonly serverUrl?: string;
  readonly lookUp?: LookUp;
  readonly log?: Logger;
}

async function startWorld({
  status = tailscaleStatus(),
  serverUrl = 'http://100.64.0.1:8080',
  clock = new VirtualClock(),
  ...rest
}: WorldOptions = {}): Promise<World> {
  const scratch = makeScratch();
  const daemon = await startFakeTailscale(path.join(scratch.path, 's'), status);
  const overlay = createOverlayNetwork({ socketPath: daemon.socketPath, serverUrl, clock, log: silent, lookUp: noNames, ...rest });
  return {
    daemon,
    clock,
    overlay,
    network: async () => (await overlay.read(signal))?.network,
    [Symbol.asyncDispose]: async () => {
      await daemon[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}

/** The messages of the log, with the fields that a test looks at. */
function listen(): { readonly log: Logger; readonly messages: string[] } {
  const messages: string[] = [];
  const log = pino({ level: 'info' }, { write: (line) => void messages.push((JSON.parse(line) as { msg: string }).msg) });
  return { log, messages };
}

describe('read()', () => {
  test('read() tells the address, the MagicDNS name without its dot, and Direct where a peer-to-peer path to the server exists', async () => {
    await using world = await startWorld();
    assert.deepEqual(await world.overlay.read(signal), { network: { ...OWN, mode: 'Direct' }, hasInterface: true, ageMs: 0 });
  });

  for (const [title, fields] of [
    ['a DERP server', { CurAddr: '' }],
    ['another peer', { CurAddr: '', PeerRelay: '198.51.100.9:40000:vni:7' }],
  ] as const) {
    test(`read() tells DERP where the path to the server leads through ${title}`, async () => {
      await using world = await startWorld({ status: tailscaleStatus({}, fields) });
      assert.deepEqual(await world.network(), { ...OWN, mode: 'DERP' });
    });
  }

  test('read() leaves the mode out while nothing was sent to the server yet, as the daemon holds no path then', async () => {
    await using world = await startWorld({ status: tailscaleStatus({}, { CurAddr: '', Active: false }) });
    assert.deepEqual(await world.network(), OWN);
  });

  for (const [serverUrl, addresses, mode] of [
    ['http://[fd7a:115c:a1e0::1]:8080', [], 'Direct'],
    ['http://cara.example.org', ['100.64.0.1'], 'Direct'],
    ['http://CARA-server.fleet.example.net:8080', [], 'Direct'],
    ['http://cara-server:8080', [], 'Direct'],
    ['http://cara-server:8080', ['192.168.1.2'], undefined],
    ['http://127.0.0.1:8080', [], undefined],
    ['http://localhost:8080', ['127.0.0.1', '::1'], undefined],
    ['http://localhost:8080', [], undefined],
    ['http://100.64.0.5:8080', [], undefined],
  ] as const) {
    test(`read() tells mode ${mode} with ${serverUrl} where the resolver knows ${addresses.join(' and ') || 'nothing'}`, async () => {
      await using world = await startWorld({ serverUrl, lookUp: addresses.length === 0 ? noNames : async () => addresses });
      assert.deepEqual(await world.network(), { ...OWN, ...(mode !== undefined && { mode }) });
    });
  }

  test('read() prefers an address of 100.64.0.0/10, then IPv4, then IPv6, and ignores what is none', async () => {
    await using world = await startWorld();
    for (const [addresses, ip] of [
      [['fd7a:115c:a1e0::5', '10.1.2.3', '100.127.255.254'], '100.127.255.254'],
      [['fd7a:115c:a1e0::5', '10.1.2.3'], '10.1.2.3'],
      [['nonsense', 'fd7a:115c:a1e0::5'], 'fd7a:115c:a1e0::5'],
    ] as const) {
      world.daemon.answer(tailscaleStatus({ Self: { TailscaleIPs: addresses } }));
      assert.deepEqual(await world.network(), { ip, mode: 'Direct' });
      await world.clock.advance(30_000);
    }
  });

  test('read() leaves the name out where MagicDNS is off or the name is too long', async () => {
    await using world = await startWorld({ status: tailscaleStatus({ CurrentTailnet: { MagicDNSEnabled: false } }) });
    assert.deepEqual(await world.network(), { ip: OWN.ip, mode: 'Direct' });
    world.daemon.answer(tailscaleStatus({ Self: { TailscaleIPs: [OWN.ip], DNSName: `${'a'.repeat(300)}.` } }));
    await world.clock.advance(30_000);
    assert.deepEqual(await world.network(), { ip: OWN.ip, mode: 'Direct' });
  });

  for (const BackendState of ['Stopped', 'NeedsLogin', 'NeedsMachineAuth', 'NoState', 'Starting', 'SomethingNew']) {
    test(`read() tells nothing, at once, when the daemon is ${BackendState}`, async () => {
      await using world = await startWorld();
      assert.ok(await world.network());
      world.daemon.answer(tailscaleStatus({ BackendState }));
      await world.clock.advance(30_000);
      assert.equal(await world.network(), undefined);
    });
  }

  test('read() tells nothing where Self, its addresses or the peers are null, and does not fall over it', async () => {
    await using world = await startWorld();
    for (const changes of [{ Self: null }, { Self: { TailscaleIPs: null } }, { Self: {} }]) {
      world.daemon.answer(tailscaleStatus(changes));
      assert.equal(await world.network(), undefined);
      await world.clock.advance(30_000);
    }
    world.daemon.answer(tailscaleStatus({ Peer: null, CurrentTailnet: null }));
    assert.deepEqual(await world.network(), OWN);
  });

  test('read() passes over a peer written in another way', async () => {
    const { Peer, ...status } = tailscaleStatus() as { readonly Peer: object };
    await using world = await startWorld({ status: { ...status, Peer: { a: 7, b: { TailscaleIPs: '100.64.0.1' }, c: null, ...Peer } } });
    assert.deepEqual(await world.network(), { ...OWN, mode: 'Direct' });
  });
});

describe('read() and time', () => {
  test('read() asks the daemon once in 30 s, however often and by however many it is called', async () => {
    await using world = await startWorld();
    await Promise.all([world.network(), world.network()]);
    world.daemon.answer(tailscaleStatus({}, { CurAddr: '' }));
    await world.clock.advance(29_999);
    const before = await world.overlay.read(signal);
    assert.deepEqual([before?.network.mode, before?.ageMs, world.daemon.calls], ['Direct', 29_999, 1]);
    await world.clock.advance(1);
    const after = await world.overlay.read(signal);
    assert.deepEqual([after?.network.mode, after?.ageMs, world.daemon.calls], ['DERP', 0, 2]);
  });

  for (const [title, answer] of [
    ['is no JSON', 'oops'],
    ['is cut short', '{"BackendState": "Runn'],
    ['is JSON of another form', '{"BackendState": 3}'],
    ['is a list', '[]'],
    ['is larger than 8 MiB', JSON.stringify(tailscaleStatus({ Padding: 'x'.repeat(8 * 1024 * 1024) }))],
  ] as const) {
    test(`read() keeps the last facts for ten minutes where the answer ${title}, and tells of it once`, async () => {
      const { log, messages } = listen();
      await using world = await startWorld({ log });
      await world.network();
      world.daemon.answer((_request, response) => void response.end(answer));
      for (let askings = 0; askings < 20; askings += 1) {
        await world.clock.advance(30_000);
        assert.ok(await world.network());
      }
      await world.clock.advance(1);
      assert.equal(await world.network(), undefined);
      world.daemon.answer(tailscaleStatus());
      await world.clock.advance(30_000);
      assert.deepEqual(await world.network(), { ...OWN, mode: 'Direct' });
      assert.deepEqual(messages, ['overlay network in use', 'overlay network failing', 'overlay network recovered']);
    });
  }

  test('read() resolves with the last facts after 2 s when the daemon does not answer, and asks no second time meanwhile', async () => {
    await using world = await startWorld();
    await world.network();
    world.daemon.answer(() => undefined);
    await world.clock.advance(30_000);
    const readings = [world.overlay.read(signal), world.overlay.read(signal)];
    await until(() => world.daemon.calls === 2);
    await world.clock.advance(2000);
    assert.deepEqual(
      (await Promise.all(readings)).map((facts) => [facts?.network.ip, facts?.ageMs]),
      [
        [OWN.ip, 32_000],
        [OWN.ip, 32_000],
      ],
    );
    assert.equal(world.daemon.calls, 2);
  });

  test('read() resolves when aborted', async () => {
    await using world = await startWorld();
    world.daemon.answer(() => undefined);
    const stopping = new AbortController();
    const reading = world.overlay.read(stopping.signal);
    await until(() => world.daemon.calls === 1);
    stopping.abort();
    assert.equal(await reading, undefined);
  });

  test('read() tells the address though the resolver never answers', async () => {
    await using world = await startWorld({ serverUrl: 'http://cara.example.org', lookUp: () => new Promise(() => undefined) });
    const reading = world.network();
    await until(() => world.daemon.closed === 1);
    await world.clock.advance(2000);
    assert.deepEqual(await reading, OWN);
  });

  test('read() says nothing in the log where there is no daemon', async () => {
    using scratch = makeScratch();
    const { log, messages } = listen();
    const socketPath = path.join(scratch.path, 'none');
    const overlay = createOverlayNetwork({ socketPath, serverUrl: 'http://127.0.0.1:8080', clock: new VirtualClock(), log });
    assert.equal(await overlay.read(signal), undefined);
    assert.deepEqual(messages, []);
  });

  test('read() tells of each change once: out of the network, in again, another path', async () => {
    const { log, messages } = listen();
    await using world = await startWorld({ log });
    for (const status of [
      tailscaleStatus(),
      tailscaleStatus({ BackendState: 'Stopped' }),
      tailscaleStatus(),
      tailscaleStatus({}, { CurAddr: '' }),
    ]) {
      world.daemon.answer(status);
      await world.network();
      await world.clock.advance(30_000);
      await world.network();
      await world.clock.advance(30_000);
    }
    assert.deepEqual(messages, [
      'overlay network in use',
      'overlay network not in use',
      'overlay network in use',
      'path to the server changed',
    ]);
  });

  test('read() tells of a daemon that refuses us', async () => {
    const { log, messages } = listen();
    await using world = await startWorld({ log });
    world.daemon.answer((_request, response) => void response.writeHead(403).end('access denied'));
    assert.equal(await world.network(), undefined);
    assert.deepEqual(messages, ['overlay network failing']);
  });
});

describe('readAtStart()', () => {
  test('readAtStart() waits for a daemon that is starting', async () => {
    await using world = await startWorld({ status: tailscaleStatus({ BackendState: 'NoState' }), clock: new ImpatientClock() });
    world.daemon.answer((_request, response) => {
      response.end(
        JSON.stringify(tailscaleStatus({ BackendState: ['NoState', 'Starting', 'Starting'][world.daemon.calls - 1] ?? 'Running' })),
      );
    });
    assert.equal((await world.overlay.readAtStart(signal))?.network.ip, OWN.ip);
    assert.deepEqual([world.daemon.calls, world.clock.monotonicMs()], [4, 750]);
  });

  test('readAtStart() gives up after 5 s', async () => {
    await using world = await startWorld({ status: tailscaleStatus({ BackendState: 'Starting' }), clock: new ImpatientClock() });
    assert.equal(await world.overlay.readAtStart(signal), undefined);
    assert.equal(world.clock.monotonicMs(), 5000);
  });

  for (const BackendState of ['Running', 'Stopped', 'NeedsLogin']) {
    test(`readAtStart() does not wait when the daemon is ${BackendState}`, async () => {
      await using world = await startWorld({ status: tailscaleStatus({ BackendState }) });
      await world.overlay.readAtStart(signal);
      assert.deepEqual([world.daemon.calls, world.clock.monotonicMs()], [1, 0]);
    });
  }
});

describe('defaultAgentHost()', () => {
  test('defaultAgentHost() is the overlay address, or loopback without one or where no interface has it', async () => {
    await using world = await startWorld();
    assert.equal(defaultAgentHost(await world.overlay.read(signal)), OWN.ip);
    world.daemon.answer(tailscaleStatus({ TUN: false }));
    await world.clock.advance(30_000);
    assert.equal(defaultAgentHost(await world.overlay.read(signal)), '127.0.0.1');
    assert.equal(defaultAgentHost(undefined), '127.0.0.1');
  });
});

async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) {
    await nextTurn();
  }
}
