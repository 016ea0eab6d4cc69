import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { it } from 'node:test';
import { addressOf } from '../http/remote-address.ts';
import { isForLeader, receiveForwarded } from './forward.ts';

it('isForLeader() names what depends on presence and on connections of agents, and leaves the rest to everybody', () => {
  const forLeader = [
    ['POST', '/api/v1/nodes'],
    ['GET', '/api/v1/nodes?limit=500'],
    ['GET', '/api/v1/nodes/n1'],
    ['POST', '/api/v1/nodes/n1/heartbeat'],
    ['UPGRADE', '/api/v1/nodes/n1/tunnel'],
    ['GET', '/api/v1/projects/shop/services/web/logs?follow=true'],
  ] as const;
  const forAll = [
    ['GET', '/api/v1/nodes?watch=true&resourceVersion=7'],
    ['GET', '/api/v1/projects'],
    ['PATCH', '/api/v1/projects/shop'],
    ['PATCH', '/api/v1/projects/shop/status'],
    ['GET', '/api/v1/nodeselectors'],
    ['GET', '/api/healthz'],
    ['GET', '/api/v1/servers'],
  ] as const;
  assert.deepEqual(
    [...forLeader, ...forAll].map(([method, url]) => isForLeader(method, url)),
    [...forLeader.map(() => true), ...forAll.map(() => false)],
  );
});

it('receiveForwarded() believes an address only of who has the key, and takes the words of others off', () => {
  const request = (headers: Record<string, string>) => ({ headers, socket: { remoteAddress: '10.0.0.9' } }) as unknown as IncomingMessage;
  const seenFrom = (raw: IncomingMessage): string | undefined => addressOf({ socket: raw.socket, raw });
  const own = request({ 'cara-forward-key': 'secret', 'cara-forwarded-for': '192.0.2.1' });
  assert.deepEqual([receiveForwarded(own, 'secret'), seenFrom(own), own.headers], [true, '192.0.2.1', {}]);
  const foreign = request({ 'cara-forward-key': 'guess', 'cara-forwarded-for': '192.0.2.1' });
  assert.deepEqual([receiveForwarded(foreign, 'secret'), seenFrom(foreign), foreign.headers], [false, '10.0.0.9', {}]);
});
