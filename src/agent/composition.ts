/**
 * The agent's parts, put together: called once by main.ts, which owns their lifetime. The groups that belong together are in compose/.
 *
 *   session (registrar, heartbeater) ── what monitors of the machine and its line know ──> server
 *   assignment-watcher ──> supervision (reconciler), assignment-file;  reconciler ──> status-reporter ──> server
 */
import { join } from 'node:path';
import type { Stopper } from '../base/stopper.ts';
import { createHttpFetch } from '../client/http-fetch.ts';
import { createCredential } from './compose/credential.ts';
import { runLink } from './compose/link.ts';
import { openTrust } from './compose/trust.ts';
import { watchHost, watchLine } from './compose/machine.ts';
import { connect, timed, tunnelDialer, type Parts } from './compose/ports.ts';
import { resume, toSink, whileWelcome } from './compose/assignments.ts';
import { supervise } from './compose/supervise.ts';
import { gaugePulls } from './docker/pull-gauge.ts';
import { ExecLedger } from './exec/exec-ledger.ts';
import { defaultAgentHost } from './host/overlay-network.ts';
import { createAgentAccess } from './http/access.ts';
import { startAgentServer, type AgentServer } from './http/agent-server.ts';
import { createDispatcher } from './http/dispatcher.ts';
import { healthRoute } from './http/health.ts';
import { serviceRoutes } from './http/service-routes.ts';
import { statsRoute } from './http/stats.ts';
import { createImageKeeping } from './images/image-keeping.ts';
import { createAssignmentWatcher } from './session/assignment-watcher.ts';
import type { StandingCell } from './session/standing.ts';
import { createStatsReader } from './stats/stats-reader.ts';

/** Listens, resumes what was assigned last, and spawns every loop. @throws {StartError} */
export async function startParts(ports: Parts): Promise<{ readonly server: AgentServer; readonly standing: StandingCell }> {
  const { config, stopper, identity } = ports;
  const standing: StandingCell = { current: 'joining', hasRegistered: false };
  const host = watchHost(ports);
  const trust = await openTrust(ports);
  const network = host.clockMeter.wrap(ports.fetch ?? createHttpFetch(trust));
  const credential = createCredential(ports, { host, standing }, network);
  const dialTunnel = tunnelDialer(ports, { token: () => credential.show(), trust });
  const parts = { ...ports, fetch: credential.wrap(network), ...(dialTunnel !== undefined && { dialTunnel }) };
  const access = createAgentAccess();
  const sources = { engine: ports.engine, clusterId: () => identity.clusterId(), clock: ports.clock };
  const dispatcher = createDispatcher({
    routes: [
      healthRoute({
        nodeName: config.NODE_NAME,
        serverUrl: config.SERVER_URL,
        standing: () => standing.current,
        trial: () => trial.state,
        engine: () => host.engine.state(),
        access,
      }),
      ...serviceRoutes({
        ...sources,
        stopper,
        ledger: new ExecLedger(join(config.DATA_DIR, 'commands.json'), ports.disk),
        kept: ports.keptLogs,
      }),
      statsRoute(createStatsReader({ ...sources, measure: host.measure, readCounters: host.readCounters, start: ports.random.uuid() })),
    ],
    access,
    onBug: (err, path) => parts.log.error({ err, path }, 'request failed'),
  });
  const server = await (ports.listen ?? startAgentServer)({
    host: config.AGENT_HOST ?? defaultAgentHost(await host.overlay.readAtStart(stopper.signal)),
    port: config.AGENT_PORT,
    dispatcher,
  });
  const client = connect(parts);
  const pulls = gaugePulls(ports.engine);
  const images = await createImageKeeping({
    engine: pulls.engine,
    dataDir: config.DATA_DIR,
    disk: ports.disk,
    assigned: () => file.all(),
    isUnderPressure: host.isDiskLow,
    readFreeBytes: host.readFreeBytes,
    clock: ports.clock,
    random: ports.random,
    log: ports.log,
  });
  const links = { client, standing, beatSoon: () => host.changed.notify(), relist: () => relist() };
  const kept = supervise({ ...parts, engine: pulls.engine, images }, links);
  const { supervision, reporter, file, fence, trial, held, dropped, volumeReporter, volumeDeleter } = kept;
  const throughput = config.THROUGHPUT_TEST === 'off' ? undefined : watchLine(parts, pulls.isPulling);
  await resume(identity, file, { supervision, fence });
  const watcher = createAssignmentWatcher({
    ...timed(parts, 'assignment-watcher'),
    client,
    nodeName: config.NODE_NAME,
    clusterId: () => supervision.clusterId(),
    sink: whileWelcome(standing, toSink({ supervision, fence, held, dropped }, reporter, file)),
  });
  const relist = (): void => {
    watcher.relist();
    volumeReporter.tellAgain();
    volumeDeleter.lookAnew();
  };
  runLink({ ...parts, client, host, throughput, standing, server, access, dispatcher, supervision, fence, trial, held, relist });
  runAll(stopper, {
    'host-sampler': host.sampler,
    'engine-monitor': host.engine,
    'network-monitor': host.network,
    throughput,
    'self-fence': fence,
    'machine-trial': trial,
    'dropped-projects': dropped,
    'assignment-file': file,
    'assignment-watcher': watcher,
    'held-projects': held,
    'status-reporter': reporter,
    'volume-reporter': volumeReporter,
    'volume-deleter': volumeDeleter,
  });
  images.start(stopper);
  return { server, standing };
}

/** @param loops name -> what lasts until it is aborted; undefined: there is none */
function runAll(stopper: Stopper, loops: Readonly<Record<string, { run(signal: AbortSignal): Promise<void> } | undefined>>): void {
  for (const [name, loop] of Object.entries(loops)) {
    if (loop !== undefined) {
      stopper.spawn(name, (signal) => loop.run(signal));
    }
  }
}
