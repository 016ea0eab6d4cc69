/**
 * Clock meter: measures the server's clock against this machine's on the way of whatever is asked of the server.
 *
 * Owns     the skew that is told.
 * Never    sets a clock, or lets any deadline depend on it.
 * Callers  composition.ts puts it into the transport; each heartbeat has its `condition` (compose/link.ts).
 * Source   RFC 5905 (NTP), the offset of one exchange: halving the round trip.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { FetchFunction } from '../../client/transport.ts';
import { deriveClockSkew, toClockCondition, type ClockSkew } from './clock-skew.ts';
import type { ReportedCondition } from './pressure.ts';

const JUMP_MS = 250; // between the two clocks during one request: somebody has set the wall clock meanwhile

export interface ClockMeter {
  /** `fetch` that measures answers which say the server's time. */
  wrap(fetch: FetchFunction): FetchFunction;
  /** undefined while there never was anything to say: so the fleet's heartbeats stay as short as they are */
  condition(): ReportedCondition | undefined;
}

/** @param options.onChange called when the clocks part, and when they agree again */
export function createClockMeter({
  clock,
  log,
  onChange,
}: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: () => void;
}): ClockMeter {
  let skew: ClockSkew | undefined;
  const now = (): { readonly wallMs: number; readonly monotonicMs: number } => ({
    wallMs: clock.wallMs(),
    monotonicMs: clock.monotonicMs(),
  });

  function measure(serverTime: string, sent: ReturnType<typeof now>): void {
    const serverMs = Date.parse(serverTime);
    const received = now();
    const roundTripMs = received.monotonicMs - sent.monotonicMs;
    if (Number.isNaN(serverMs) || Math.abs(received.wallMs - sent.wallMs - roundTripMs) > JUMP_MS) {
      return;
    }
    const skewMs = serverMs - (sent.wallMs + received.wallMs) / 2;
    const before = skew;
    skew = deriveClockSkew(before, { skewMs, roundTripMs });
    if ((before?.isSkewed ?? false) !== (skew?.isSkewed ?? false)) {
      log[skew?.isSkewed === true ? 'warn' : 'info'](
        { skewMs: Math.round(skewMs), roundTripMs: Math.round(roundTripMs) },
        'clock skew changed',
      );
      onChange();
    }
  }

  return {
    wrap: (fetch) => async (url, request) => {
      const sent = now();
      const answer = await fetch(url, request);
      const serverTime = answer.headers.get('cara-time');
      if (serverTime !== null) {
        measure(serverTime, sent);
      }
      return answer;
    },
    condition: () => skew && toClockCondition(skew),
  };
}
