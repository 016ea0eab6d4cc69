/** The agent's parts that look at the machine and its line to the server, put together. Callers: ../composition.ts. */
import { join } from 'node:path';
import { Wakeup } from '../../base/wakeup.ts';
import { firstServerUrl } from '../../client/server-choice.ts';
import { createThroughputLink } from '../../client/throughput-link.ts';
import { createClockMeter } from '../host/clock-meter.ts';
import { createEngineMonitor } from '../host/engine-monitor.ts';
import { createHostProbe, readText, type HostMeasure } from '../host/host-probe.ts';
import { createHostSampler } from '../host/host-sampler.ts';
import { createNetworkMonitor } from '../host/network-monitor.ts';
import { createOverlayNetwork } from '../host/overlay-network.ts';
import { findRouteAddress } from '../host/route-address.ts';
import { createThroughputMonitor, type ThroughputMonitor } from '../host/throughput.ts';
import { readMachineCounters, type MachineCounters } from '../stats/machine-counters.ts';
import { openTransport, timed, type Parts } from './ports.ts';

export type Machine = ReturnType<typeof watchHost>;

/** The parts that look at this machine. */
export function watchHost(parts: Parts) {
  const { config } = parts;
  const probe = parts.hostProbe ?? createHostProbe();
  const firstSample = new Wakeup();
  const changed = new Wakeup(); // something that the server should hear of before the next beat is due
  const engine = createEngineMonitor({
    ...timed(parts, 'engine-monitor'),
    engine: parts.engine,
    dockerHost: config.DOCKER_HOST,
    onChange: () => {
      sampler.sampleSoon();
      changed.notify();
    },
  });
  const sampler = createHostSampler({
    ...timed(parts, 'host-sampler'),
    probe,
    reserved: config.SYSTEM_RESERVED,
    dataDir: () => engine.state().info?.dataDir,
    onChange: () => {
      firstSample.notify();
      changed.notify();
    },
  });
  const overlay = createOverlayNetwork({
    ...timed(parts, 'overlay-network'),
    socketPath: config.TAILSCALE_SOCKET,
    serverUrl: firstServerUrl(config.SERVER_URL),
    ...(parts.fetchTailscaleStatus !== undefined && { fetchStatus: parts.fetchTailscaleStatus }),
  });
  const network = createNetworkMonitor({
    ...timed(parts, 'network-monitor'),
    serverUrl: firstServerUrl(config.SERVER_URL),
    nodeIp: config.NODE_IP,
    overlay,
    findAddress: parts.findAddress ?? findRouteAddress,
    onChange: () => changed.notify(),
  });
  const clockMeter = createClockMeter({ ...timed(parts, 'clock-meter'), onChange: () => changed.notify() });
  const isDiskLow = (): boolean =>
    sampler.latest()?.conditions.some(({ type, status }) => type === 'DiskPressure' && status === 'True') === true;
  const measure = (): Promise<HostMeasure> => probe.measure(engine.state().info?.dataDir);
  const readFreeBytes = async (): Promise<number> => (await measure()).disk.freeBytes;
  const readCounters = (): MachineCounters => readMachineCounters(readText);
  return {
    engine,
    sampler,
    isDiskLow,
    measure,
    readCounters,
    readFreeBytes,
    overlay,
    network,
    clockMeter,
    firstSample,
    changed,
    info: probe.info(),
  };
}

/** How fast the line to the server is. */
export function watchLine(parts: Parts, isBusy: () => boolean): ThroughputMonitor {
  const { config } = parts;
  return createThroughputMonitor({
    ...timed(parts, 'throughput'),
    link: createThroughputLink(openTransport(parts)),
    serverUrl: config.SERVER_URL,
    path: join(config.DATA_DIR, 'throughput.json'),
    spreadMs: config.HEARTBEAT_INTERVAL,
    isBusy,
  });
}
