/** Registration and heartbeats, put together. Callers: ../composition.ts. */
import { Wakeup } from '../../base/wakeup.ts';
import type { CaraClient } from '../../client/cara-client.ts';
import type { ThroughputMonitor } from '../host/throughput.ts';
import type { AgentAccess } from '../http/access.ts';
import type { AgentServer } from '../http/agent-server.ts';
import { describeIdentity } from '../identity.ts';
import type { Dispatcher } from '../http/dispatcher.ts';
import { serveTunnel } from '../http/tunnel-front.ts';
import { buildHeartbeat } from '../session/heartbeat-body.ts';
import { createHeartbeater, heartbeatTimeLimitMs } from '../session/heartbeater.ts';
import type { HeldKeeper } from '../session/held-keeper.ts';
import type { MachineTrial } from '../session/machine-trial.ts';
import { createRegistrar } from '../session/registrar.ts';
import { buildRegistration, describeMachine } from '../session/registration.ts';
import type { SelfFence } from '../session/self-fence.ts';
import { runSession } from '../session/session.ts';
import type { StandingCell } from '../session/standing.ts';
import type { Supervision } from '../session/supervision.ts';
import { createTunnel } from '../session/tunnel.ts';
import type { Machine } from './machine.ts';
import { connect, timed, type Parts } from './ports.ts';

interface Link extends Parts {
  readonly client: CaraClient;
  readonly host: Machine;
  /** undefined: not to be measured */
  readonly throughput: ThroughputMonitor | undefined;
  readonly standing: StandingCell;
  readonly server: AgentServer;
  readonly access: AgentAccess;
  readonly dispatcher: Dispatcher;
  readonly supervision: Supervision;
  readonly fence: SelfFence;
  readonly trial: MachineTrial;
  readonly held: HeldKeeper;
  readonly relist: () => void;
}

/** Registration and heartbeats. */
export function runLink(parts: Link): void {
  const { config, identity, host, standing, server, stopper, clock, log } = parts;
  const registered = new Wakeup();
  const info = describeMachine(host.info);
  const heartbeater = createHeartbeater({
    ...timed(parts, 'heartbeater'),
    client: connect(parts, heartbeatTimeLimitMs(config.HEARTBEAT_INTERVAL)),
    nodeName: config.NODE_NAME,
    intervalMs: config.HEARTBEAT_INTERVAL,
    body: (answer) =>
      buildHeartbeat({
        engine: host.engine.state(),
        host: host.sampler.latest(),
        network: host.network.latest(),
        throughput: parts.throughput?.latest(),
        agentPort: server.port,
        info,
        identity: { ...describeIdentity(identity), ...(answer !== undefined && { answer }) },
        clock: host.clockMeter.condition(),
        held: parts.held.condition(),
      }),
    onAccepted: () => {
      const isReturn = standing.current === 'deleted';
      registrar.confirm();
      standing.current = 'registered';
      parts.throughput?.serverAnswered();
      if (isReturn) {
        parts.relist();
      }
    },
    onDeleted: () => (standing.current = 'deleted'),
    onGranted: (grant) => parts.fence.granted(grant),
    onHold: (holdMs) => {
      const wasHeld = parts.trial.state === 'held';
      parts.trial.heard(holdMs);
      if (wasHeld && parts.trial.state !== 'held') {
        stopper.spawn('registration after a trial', (signal) => registrar.renew(signal)); // while it is held it gets no credential
      }
    },
    ...(parts.bootClock !== undefined && { bootClock: parts.bootClock }),
    changed: host.changed,
  });
  const registrar = createRegistrar({
    ...timed(parts, 'registrar'),
    client: parts.client,
    nodeName: config.NODE_NAME,
    registration: () => buildRegistration({ host: host.info, identity, standing }),
    standing,
    onCredential: (credential) => {
      parts.access.set(credential);
      registered.notify();
    },
    onRefused: () => {
      standing.current = 'refused';
      parts.trial.refused();
    },
    hasJoined: () => identity.clusterId() !== undefined,
    onCluster: async (clusterId) => {
      await identity.rememberCluster(clusterId);
      parts.supervision.adopt(clusterId);
    },
  });
  const session = { registrar, heartbeater, onRegistered: parts.relist, standing, firstSample: host.firstSample, clock, log };
  stopper.spawn('session', (signal) => runSession(session, signal));
  if (parts.dialTunnel !== undefined) {
    const tunnel = createTunnel({
      ...timed(parts, 'tunnel'),
      dial: parts.dialTunnel,
      access: parts.access,
      registered,
      // a node that was deleted, or whose name another machine holds, must not register by itself
      onUnknownCredential: async (signal) => {
        if (standing.current === 'registered') {
          await registrar.renew(signal);
          host.changed.notify(); // beats: if it is a copy of this machine that has registered, the server learns of it by that
        }
      },
      serve: (connection) => serveTunnel(connection, parts.dispatcher),
    });
    stopper.spawn('tunnel', (signal) => tunnel.run(signal));
  }
}
