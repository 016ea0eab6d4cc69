import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { until } from '../../scripts/lib/wait.ts';
import { makeScratch } from '../support/scratch.ts';

const CARACTRL = join(import.meta.dirname, '../../bin/caractrl');
const MANIFEST = 'apiVersion: caravanserai/v1\nkind: Project\nmetadata: { name: shop }\nspec: { services: [{ name: web, image: a }] }\n';
const META = { uid: 'u', resourceVersion: '7', generation: 1, createdAt: '2026-01-01T00:00:00Z', updatedAt: '2026-01-01T00:00:00Z' };
const SHOP = {
  apiVersion: 'caravanserai/v1',
  kind: 'Project',
  metadata: { name: 'shop', labels: {}, annotations: {}, ...META },
  spec: { services: [{ name: 'web', image: 'a' }], volumes: [] },
  status: {
    phase: 'Running',
    nodeRef: 'worker-01',
    assignment: 1,
    observedGeneration: 0,
    services: [{ name: 'web', state: 'Running' }],
    conditions: [],
  },
};

/** A server that answers so many requests, as one that has a Project would, and hangs from then on: it takes requests and says nothing. */
async function startHanging(answers: number) {
  const hung: string[] = [];
  let left = answers;
  const take = (request: IncomingMessage, answer: ServerResponse): void => {
    if (left === 0) {
      hung.push(`${request.method} ${request.url}`);
      return;
    }
    left -= 1;
    const body = request.url?.includes('?') === true ? { metadata: { resourceVersion: '7' }, items: [SHOP] } : SHOP;
    answer.setHeader('content-type', 'application/json');
    request.resume().on('end', () => answer.end(JSON.stringify(body)));
  };
  const server = createServer(take);
  const upgraded: Duplex[] = []; // which the server does not close
  server.on('upgrade', (request, socket) => {
    hung.push(`upgrade ${request.url}`);
    upgraded.push(socket.on('error', () => undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    hung,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      upgraded.forEach((socket) => socket.destroy());
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** @returns exit code, as shells have it */
async function endOf(child: ChildProcess): Promise<number> {
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return code ?? (signal === 'SIGINT' ? 130 : -1);
  } finally {
    clearTimeout(limit);
  }
}

describe('Ctrl-C ends a command while', () => {
  const cases: readonly (readonly [line: string, answers: number, hangs: RegExp])[] = [
    ['apply --wait -f -', 0, /^PATCH \/api\/v1\/projects\/shop$/u],
    ['apply --wait -f -', 1, /^GET \/api\/v1\/projects\/shop$/u],
    ['apply --wait -f -', 2, /^GET .*watch=true/u],
    ['delete project shop', 0, /^DELETE /u],
    ['get projects -w', 1, /^GET .*watch=true/u],
    ['events -f', 0, /^GET .*\/events/u],
    ['logs -f shop/web', 1, /^GET .*\/logs\?follow=true/u],
    ['drain worker-01 --yes', 0, /^POST .*\/drain$/u],
    ['move shop', 1, /^(?:GET|POST) /u],
    ['exec shop/web -- ls', 0, /^upgrade .*\/exec/u],
    ['port-forward shop/web 0:80', 0, /^GET .*\/projects\/shop$/u],
    ['rollout restart shop', 0, /./u],
  ];
  for (const [line, answers, hangs] of cases) {
    test(`the server hangs after ${answers} answers to: ${line}`, async () => {
      await using server = await startHanging(answers);
      const child = spawn(CARACTRL, line.split(' '), {
        env: { ...process.env, CARA_SERVER: server.url },
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      try {
        child.stdin.end(MANIFEST);
        const stderr = text(child.stderr);
        await Promise.race([
          until(() => server.hung.length > 0, { what: `${line} to hang`, timeoutMs: 60_000 }),
          once(child, 'exit').then(async ([code]) => assert.fail(`it ended with ${code}: ${await stderr}`)),
        ]);
        assert.match(server.hung.join('\n'), hangs);
        child.kill('SIGINT');
        assert.equal(await endOf(child), 130, await stderr);
      } finally {
        child.kill('SIGKILL');
      }
    });
  }

  test('a pipe that it reads has nothing to say, which even the end of the process would wait for', async () => {
    using scratch = makeScratch();
    const pipe = join(scratch.path, 'pipe.yaml');
    assert.equal(spawnSync('sh', ['-c', 'mkfifo "$0"', pipe]).status, 0);
    const child = spawn(CARACTRL, ['apply', '-f', pipe], { stdio: ['ignore', 'ignore', 'pipe'] });
    let writer = -1;
    try {
      await until(
        () => {
          try {
            writer = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK); // refused until somebody reads
          } catch {
            return false;
          }
          return true;
        },
        { what: 'caractrl to read the pipe', timeoutMs: 60_000 },
      );
      child.kill('SIGINT');
      assert.equal(await endOf(child), 130);
    } finally {
      child.kill('SIGKILL');
      if (writer !== -1) {
        closeSync(writer);
      }
    }
  });
});
