/**
 * Decoding what agents report: heartbeats, registrations, the status of Projects. Apart from decode.ts, as caractrl and the agent need
 * none of it and start faster without.
 *
 * UNKNOWN FIELDS are dropped here, and refused everywhere else. A person who misspells a field of a manifest must hear of it; an agent
 * that is newer than its server has nobody to tell: refused, all its heartbeats would be, and a fleet would go NotReady for a field that
 * its server does not even know. What the server does know is checked as strictly as anywhere.
 */
import { Clean } from 'typebox/value';
import type { Static, TSchema } from 'typebox';
import { createDecoder, type Decoder } from './decode.ts';

/** As `createDecoder`, but fields that `schema` does not have are dropped, from the input itself, which must be the caller's own. */
export function createReportDecoder<Schema extends TSchema>(schema: Schema): Decoder<Static<Schema>> {
  const decode = createDecoder(schema);
  return (input) => {
    const decoded = decode(input);
    return decoded.ok ? decoded : decode(withoutUnknown(schema, input));
  };
}

/** TypeBox 1.4.3 throws where a list stands for a map, as it cannot delete its `length`: such input is refused as it is. */
function withoutUnknown(schema: TSchema, input: unknown): unknown {
  try {
    return Clean(schema, input);
  } catch {
    return input;
  }
}
