import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './ctl-error.ts';
import { ctl } from '../../test/support/worlds/ctl.ts';
import { loadCommands } from './commands.ts';
import { readNamedSelections, readSelections, typesFor } from './resource-type.ts';

test('readSelections() takes singular, plural, short, any case, lists, all and TYPE/NAME', () => {
  assert.deepEqual(readSelections(['no', 'a', 'b', 'a'], 'get'), [{ type: 'node', names: ['a', 'b'] }]);
  assert.deepEqual(readSelections(['Projects'], 'get'), [{ type: 'project', names: [] }]);
  assert.deepEqual(readSelections(['nodes,proj'], 'get'), [
    { type: 'node', names: [] },
    { type: 'project', names: [] },
  ]);
  assert.deepEqual(
    readSelections(['all'], 'get').map(({ type }) => type),
    ['node', 'project', 'secret'],
  );
  assert.deepEqual(readSelections(['node/a', 'project/x', 'nodes/b'], 'get'), [
    { type: 'node', names: ['a', 'b'] },
    { type: 'project', names: ['x'] },
  ]);
});

test('readSelections() refuses what could mean two things', () => {
  for (const args of [[], ['pods'], ['nodes,projects', 'a'], ['node/a', 'b'], ['node/'], ['/a'], ['node/a/b'], ['node', '']]) {
    assert.throws(() => readSelections(args, 'get'), UsageError, args.join(' '));
  }
});

test('readSelections() points from "get events" to the command for them', () => {
  const hintOf = (error: unknown): string | undefined => (error instanceof UsageError ? error.hint : undefined);
  assert.throws(
    () => readSelections(['events'], 'get'),
    (error) => hintOf(error) === 'caractrl events',
  );
});

test('readSelections() says where what kubectl lists is to be seen', () => {
  for (const [word, hint] of [
    ['pods', /caractrl top services/u],
    ['deployments', /^caractrl get projects$/u],
    ['namespaces', /with -l$/u],
  ] as const) {
    assert.throws(
      () => readSelections([word], 'get'),
      (error) => error instanceof UsageError && error.message.startsWith('Unknown resource type') && hint.test(error.hint ?? ''),
    );
  }
});

test('readNamedSelections() refuses to take all of a type', () => {
  assert.throws(() => readNamedSelections(['nodes'], 'delete'), /Cannot tell which nodes to delete as no name is given/u);
});

test('readNamedSelections() says of volumes that they cannot be used there, also with a NODE/NAME behind', () => {
  assert.throws(
    () => readNamedSelections(['volume', 'worker-01/cara_shop_data'], 'label'),
    (error: UsageError) =>
      error.message === 'Cannot use "volume" here: it takes nodes, projects, secrets' &&
      error.hint?.startsWith('caractrl get volumes') === true,
  );
});

test('what a verb takes is told by its own lists: help, completion and errors say the same', async () => {
  const commands = await loadCommands();
  const completion = await completionOf();
  for (const verb of ['get', 'describe', 'delete', 'label', 'annotate']) {
    const types = typesFor(verb);
    assert.match(completion, new RegExp(`    ${verb}\\) .* types='${types.join(' ')}' ;;`, 'u'));
    assert.throws(() => readSelections(['nope'], verb), { message: `Unknown resource type "nope": known are ${types.join(', ')}` });
  }
  for (const [verb, types] of [
    ['get', ['Nodes', 'Projects', 'Secrets', 'volumes', 'servers']],
    ['delete', ['Nodes', 'Projects', 'Secrets', 'volumes']],
  ] as const) {
    assert.deepEqual(
      typesFor(verb),
      types.map((type) => type.toLowerCase()),
    );
    const { summary = '' } = commands.find(({ name }) => name === verb) ?? {};
    types.forEach((type) => assert.ok(summary.includes(type), `${verb}: ${summary}`));
  }
});

async function completionOf(): Promise<string> {
  const { stdout } = await ctl(['completion', 'bash']);
  return stdout;
}
