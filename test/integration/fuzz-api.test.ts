/**
 * Promise 10: no input breaks it. Requests made from the server's own description, through its app as a socket would bring them: no 5xx, no
 * hang, every answer in the documented form, and the server as well at the end as it was at the beginning.
 *
 * FUZZ_INPUTS (default 4000) says how many, FUZZ_SEED (default 1) which; a failure names the seed and the number of its input.
 */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { createDecoder, type Decoder } from '../../src/api/decode.ts';
import type { TSchema } from 'typebox';
import { startApi, type ApiServer } from '../support/worlds/api.ts';
import { makeInput, readOperations, type ApiInput } from '../support/fuzz/api-inputs.ts';
import { createDice } from '../support/fuzz/dice.ts';
import { examplesFor } from '../support/fuzz/examples.ts';
import type { JsonSchema } from '../support/fuzz/values.ts';
import type { VirtualClock } from '../support/time/virtual-clock.ts';

const INPUTS = Number(process.env['FUZZ_INPUTS'] ?? 4000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const HANG_MS = 20_000;

/** Answers beyond 499 that say something of a node, and not of the server. */
const OF_NODES = new Set(['NodeUnreachable']);

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

async function ask(api: ApiServer<VirtualClock>, { method, url, headers, body }: ApiInput): Promise<Answer> {
  const pending = api.server.app.inject({ method: method as 'GET', url, headers, ...(body !== undefined && { payload: body }) });
  let isDone = false;
  const outcome = pending.finally(() => (isDone = true));
  outcome.catch(() => undefined); // thrown below
  const startedMs = performance.now();
  for (let turns = 1; !isDone; turns += 1) {
    await turn();
    if (turns % 100 === 0) {
      await api.clock.advance(1000); // what waits for a node waits in vain, and says so
    }
    if (performance.now() - startedMs > HANG_MS) {
      throw new Error('it hangs');
    }
  }
  return (await outcome) as Answer;
}

/** What is wrong with an answer; undefined: nothing. */
function judge({ operation, method }: ApiInput, { statusCode, headers, body }: Answer, validators: Validators): string | undefined {
  if (statusCode >= 400) {
    if (method === 'HEAD') {
      return statusCode >= 500 && statusCode !== 503 ? 'a 5xx' : undefined; // whether that is of a node, the body of a GET would say
    }
    if (!String(headers['content-type']).startsWith('application/problem+json')) {
      return 'no problem document';
    }
    const problem = JSON.parse(body) as Readonly<Record<string, unknown>>;
    const isWhole = typeof problem['title'] === 'string' && problem['status'] === statusCode && typeof problem['detail'] === 'string';
    const tellsInsides = /\bat .*\.ts:\d+|node_modules|node:internal/u.test(body);
    if (!isWhole || tellsInsides) {
      return 'a problem document that is not whole, or tells insides';
    }
    return statusCode >= 500 && !OF_NODES.has(String(problem['reason'])) ? 'a 5xx' : undefined;
  }
  if (method !== operation.method) {
    return undefined; // another operation's answer
  }
  if (!operation.answers.has(statusCode)) {
    return 'a status that is not described';
  }
  const schema = operation.answers.get(statusCode);
  if (schema === undefined || body === '') {
    return undefined;
  }
  const decoded = validators.of(schema)(JSON.parse(body));
  return decoded.ok
    ? undefined
    : `a body that is not as described: ${decoded.errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')}`;
}

class Validators {
  readonly #known = new Map<JsonSchema, Decoder<unknown>>();

  of(schema: JsonSchema): Decoder<unknown> {
    const known = this.#known.get(schema) ?? (createDecoder(schema as TSchema) as Decoder<unknown>);
    this.#known.set(schema, known);
    return known;
  }
}

async function seedObjects(api: ApiServer<VirtualClock>): Promise<void> {
  await api.apply('Node', 'n1');
  await api.apply('Node', 'n2');
  await api.beat('n1', { capacity: { cpu: '4', memory: '8Gi', disk: '100Gi' }, allocatable: { cpu: '4', memory: '8Gi', disk: '100Gi' } });
  await api.apply('Project', 'shop');
  await api.apply('Project', 'db');
  await api.call('POST', '/secrets', {
    body: { apiVersion: 'caravanserai/v1', kind: 'Secret', metadata: { name: 'secret-1' }, stringData: { a: 'b' } },
  });
}

function describeInput({ method, url, headers, body }: ApiInput): string {
  return `${method} ${url.slice(0, 500)} ${JSON.stringify(headers).slice(0, 300)} ${(body ?? '').slice(0, 1500)}`;
}

test(`${INPUTS} requests from the API's own description are answered as it says (seed ${SEED})`, { timeout: 3_600_000 }, async () => {
  const { prototype } = Object;
  const before = Object.getOwnPropertyNames(prototype);
  await using api = await startApi();
  const described = (await api.server.app.inject('/openapi.json')).json() as unknown;
  const operations = readOperations(described).filter(({ path, method }) => !(path === '/api/v1/throughput' && method === 'GET'));
  await seedObjects(api);
  const validators = new Validators();
  const dice = createDice(SEED);
  const statuses = new Map<string, number>();
  for (let number = 0; number < INPUTS; number += 1) {
    if (number % 200 === 0) {
      await seedObjects(api); // what was deleted is there again
    }
    const input = makeInput(operations, { dice, wildness: dice.pick([0, 0, 0.01, 0.05, 0.3]), examples: examplesFor });
    const where = (): string => `FUZZ_SEED=${SEED}, input ${number}: ${describeInput(input)}`;
    const answer = await ask(api, input).catch((error: unknown) => assert.fail(`${String(error)} at ${where()}`));
    const wrong = judge(input, answer, validators);
    assert.equal(wrong, undefined, `${wrong}: HTTP ${answer.statusCode} ${answer.body.slice(0, 1000)} at ${where()}`);
    const key = `${String(answer.statusCode)[0]}xx`;
    statuses.set(key, (statuses.get(key) ?? 0) + 1);
  }
  assert.deepEqual(Object.getOwnPropertyNames(prototype), before, 'the prototype of all objects was changed');
  assert.equal((await api.call('GET', '/api/readyz')).status, 200);
  const [done = 0, refused = 0] = ['2xx', '4xx'].map((key) => statuses.get(key));
  assert.ok(done > INPUTS / 10 && refused > INPUTS / 10, `too few of one kind to say much: ${JSON.stringify([...statuses])}`);
});
