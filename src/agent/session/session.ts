/**
 * Session: this node's standing with the server, from registration to registration.
 *
 * Owns     `standing`: whether the server knows this node. Lists of assignments count only while it does.
 * Never    ends by itself.
 * Callers  compose/link.ts runs it.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { Heartbeater } from './heartbeater.ts';
import type { Registrar } from './registrar.ts';
import type { StandingCell } from './standing.ts';

export interface SessionOptions {
  readonly registrar: Registrar;
  readonly heartbeater: Heartbeater;
  /** called after each registration */
  readonly onRegistered: () => void;
  readonly standing: StandingCell;
  /** notified when the machine has been measured for the first time */
  readonly firstSample: Wakeup;
  readonly clock: Clock;
  readonly log: Logger;
}

const FIRST_SAMPLE_WAIT_MS = 2000; // a node should say what it has before it is called Ready, but a slow disk must not keep it away

/** Registers and beats, again and again, until aborted. @throws {StartError} as registrar.ts */
export async function runSession(options: SessionOptions, signal: AbortSignal): Promise<void> {
  const { registrar, heartbeater, onRegistered, standing, firstSample, clock, log } = options;
  for (let isFirst = true; ; isFirst = false) {
    standing.current = standing.current === 'refused' ? 'refused' : 'joining';
    standing.current = await registrar.register(signal);
    if (standing.current === 'registered') {
      onRegistered();
    } // else the heartbeats say when the record is back
    if (isFirst) {
      await firstSample.wait(clock, FIRST_SAMPLE_WAIT_MS, signal);
    }
    const end = await heartbeater.run(signal);
    if (end === 'refused') {
      standing.current = 'refused'; // the registrar asks again, and tells why
    } else {
      log.warn({ standing: standing.current }, 'server does not know this node: registers again');
    }
  }
}
