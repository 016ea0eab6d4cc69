/** What the server answers to a throughput test's upload. */
import Type, { type Static } from 'typebox';
import { Closed } from '../meta.ts';

export const ThroughputReport = Closed({
  bytes: Type.Integer({ minimum: 0, description: 'Received' }),
  ms: Type.Number({ minimum: 0, description: 'From the first byte to the last, in milliseconds' }),
});
export type ThroughputReport = Static<typeof ThroughputReport>;
