/**
 * Promise 10 for files: manifests in YAML and JSON, made from the schemas and then spoilt, through what `caractrl apply -f` does with them.
 * Each is read, or refused with file and line; nothing else is thrown, and nothing takes long.
 *
 * FUZZ_INPUTS (default 800) says how many, FUZZ_SEED (default 1) which.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { NodeApply } from '../../src/api/node.ts';
import { ProjectApply } from '../../src/api/project.ts';
import { SecretApply } from '../../src/api/secret.ts';
import { CtlError } from '../../src/ctl/ctl-error.ts';
import { readManifests } from '../../src/ctl/manifest/manifest-file.ts';
import { toJsonSchema } from '../../src/server/http/openapi.ts';
import { createDice, type Dice } from '../support/fuzz/dice.ts';
import { examplesFor } from '../support/fuzz/examples.ts';
import { makeValue, spoilText } from '../support/fuzz/values.ts';

const INPUTS = Number(process.env['FUZZ_INPUTS'] ?? 800);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
/** ms; a hang, and not a busy machine. */
const LONG_MS = 20_000;

const SCHEMAS = { Node: NodeApply, Project: ProjectApply, Secret: SecretApply };

/** What YAML has beside JSON, and what it has been misused for. */
const YAML_TRAPS = [
  'a: &a [1]\nb: *a\n',
  'a: &a ["x","x"]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n',
  'a: &a\n  b: *a\n',
  '<<: {kind: Project}\n',
  '!!js/function "function(){}"\n',
  '!!binary "AAAA"\n',
  '!!set {a, b}\n',
  '? [a, b]\n: c\n',
  '%YAML 1.1\n---\nyes: no\n',
  '--- ---\n',
  'a: |\n\tb\n',
  '\t\n',
  '__proto__: {polluted: true}\nconstructor: {prototype: {polluted: true}}\n',
  `${'- '.repeat(3000)}a\n`,
  `${'{a: '.repeat(3000)}1${'}'.repeat(3000)}\n`,
  `a: ${'9'.repeat(5000)}\n`,
  `"${'\\u0041'.repeat(3000)}": 1\n`,
  '\ufeffkind: Node\n',
  'kind: Node\r\nmetadata: {name: a}\r\r\n',
  '...\n...\n',
  'a: 2026-01-01\nb: 0o17\nc: .inf\nd: 0x1F\ne: 1_000\n',
];

function makeText(dice: Dice): string {
  const kind = dice.pick(['Node', 'Project', 'Secret'] as const);
  const making = { dice, wildness: dice.pick([0, 0.01, 0.05, 0.3]), examples: examplesFor };
  const value = makeValue(toJsonSchema(SCHEMAS[kind]), making);
  const document = typeof value === 'object' && value !== null && dice.chance(0.9) ? { ...value, kind } : value;
  const text = dice.chance(0.5) ? JSON.stringify(document) : toYaml(document);
  const spoilt = dice.chance(0.4) ? spoilText(text, dice) : text;
  return dice.chance(0.1) ? `${spoilt}\n---\n${dice.pick(YAML_TRAPS)}` : dice.chance(0.05) ? dice.pick(YAML_TRAPS) : spoilt;
}

function toYaml(document: unknown): string {
  try {
    return stringify(document);
  } catch {
    return JSON.stringify(document); // nested deeper than it writes
  }
}

test(`${INPUTS} manifests are read, or refused with their place (seed ${SEED})`, { timeout: 3_600_000 }, () => {
  const dice = createDice(SEED);
  let read = 0;
  for (let number = 0; number < INPUTS; number += 1) {
    const text = makeText(dice);
    const where = `FUZZ_SEED=${SEED}, input ${number}: ${text.slice(0, 2000)}`;
    const startedMs = performance.now();
    try {
      readManifests([{ file: 'a.yaml', text }]);
      read += 1;
    } catch (error) {
      assert.ok(error instanceof CtlError, `${String(error)} at ${where}`);
      assert.match(error.message, /a\.yaml|document|manifest/u, where);
    }
    assert.ok(performance.now() - startedMs < LONG_MS, `it takes too long at ${where}`);
  }
  assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
  assert.ok(read > INPUTS / 50, `only ${read} were good: the rest says little`);
});
