import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { laneOf } from './lane-of.ts';

const LIST = { tag: 'projects', query: Type.Object({ limit: Type.Integer(), watch: Type.Boolean() }) } as const;
const ONE = { tag: 'projects' } as const;
const CAN_I = { tag: 'auth', query: Type.Object({ verb: Type.String() }) } as const;
const REPORT = { tag: 'agents' } as const;
const EVERYONE = { kind: 'Everyone' } as const;
const NODE = { kind: 'Node' } as const;

test('laneOf() puts agents before people, and lists behind them', () => {
  const cases = [
    [ONE, { caller: EVERYONE, query: {} }, 'people'],
    [CAN_I, { caller: EVERYONE, query: {} }, 'people'],
    [REPORT, { caller: EVERYONE, query: {} }, 'agents'],
    [REPORT, { caller: { kind: 'Nobody' }, query: {} }, 'agents'], // asks for a challenge
    [ONE, { caller: NODE, query: {} }, 'agents'],
    [LIST, { caller: NODE, query: {} }, 'agents'],
    [LIST, { caller: EVERYONE, query: {} }, 'bulk'],
    [LIST, { caller: EVERYONE, query: { watch: 'true' } }, 'bulk'],
    [LIST, { caller: EVERYONE, query: { watch: 'false', resourceVersion: '7' } }, 'bulk'],
    [LIST, { caller: EVERYONE, query: { watch: 'true', resourceVersion: '7' } }, 'people'],
    [LIST, { caller: EVERYONE, query: { nodeRef: 'worker-01' } }, 'agents'],
  ] as const;
  for (const [route, asked, lane] of cases) {
    assert.equal(laneOf(route, asked), lane, JSON.stringify([route.tag, asked]));
  }
});
