/** examples/hello on the quickstart's cluster: applied, followed, shown, deleted. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import type { CaraClient } from '../../src/client/cara-client.ts';
import { until } from '../lib/wait.ts';
import { type Cluster, PREFERRED_PORTS, type QuickstartContext } from './cluster.ts';
import { followUntilRunning } from './follow.ts';
import type { QuickstartOptions } from './options.ts';
import { frame, htmlToText } from './page.ts';
import { ProgramFailure, ROOT, runCaractrl } from './programs.ts';

const PROJECT = 'hello';
const DELETE_TIMEOUT_MS = 30_000;

/** Applies the example and follows it until the page answers. */
export async function runProject({ client, pageUrl, programs }: Cluster, { dir, file, screen, signal }: QuickstartContext): Promise<void> {
  const manifest = writeManifest(dir, Number(new URL(pageUrl).port || 80));
  await screen.task(
    `Project ${PROJECT}`,
    async () => {
      const running = followUntilRunning(
        {
          client,
          clock: systemClock,
          name: PROJECT,
          onUid: (projectUid) => file.update({ projectUid }),
          onProgress: ({ phase, detail }, elapsedMs) =>
            screen.line(`  ${(elapsedMs / 1000).toFixed(1).padStart(5)} s  ${screen.paint('bold', phase.padEnd(10))} ${detail}`),
        },
        signal,
      );
      running.catch(() => undefined); // awaited below, but may fail before that
      screen.line(screen.paint('dim', `$ caractrl apply -f ${manifest}`));
      const applied = await runCaractrl(['apply', '-f', manifest], { dir, server: client.serverUrl });
      if (applied.code !== 0) {
        throw new Error(`Cannot apply ${manifest}: ${applied.stderr.trim()}`);
      }
      screen.line(applied.stdout.trimEnd());
      await running.catch((error: unknown) => {
        throw signal.aborted
          ? error
          : new ProgramFailure(error instanceof Error ? error.message : String(error), programs.at(-1)?.logFile ?? '');
      });
    },
    () => 'is Running',
  );
  const html = await screen.task(
    'Page',
    async () => await fetchPage(pageUrl, signal),
    () => pageUrl,
  );
  screen.line(`\n${frame(htmlToText(html))}\n`);
}

/** The example with the host port that is free here. @returns the copy's path */
function writeManifest(dir: string, hostPort: number): string {
  const document = parseDocument(readFileSync(path.join(ROOT, 'examples/hello/project.yaml'), 'utf8'));
  document.setIn(['spec', 'services', 1, 'ports', 0, 'hostPort'], hostPort);
  const target = path.join(dir, 'hello.yaml');
  writeFileSync(target, document.toString({ lineWidth: 0 }));
  return target;
}

async function fetchPage(url: string, signal: AbortSignal): Promise<string> {
  const look = async (): Promise<string> => {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]) });
    const html = await response.text();
    if (response.status !== 200) {
      throw new Error(`status ${response.status}`);
    }
    return html;
  };
  return await until(look, { what: `the page at ${url}`, timeoutMs: 15_000, intervalMs: 200, signal });
}

/** Prints what caractrl shows, and what to try. */
export async function showCluster(
  { client, pageUrl }: Cluster,
  { dir, screen }: QuickstartContext,
  { isOnce }: QuickstartOptions,
): Promise<void> {
  const caractrl = path.relative(process.env['INIT_CWD'] ?? process.cwd(), path.join(ROOT, 'bin/caractrl'));
  for (const args of [
    ['get', 'nodes'],
    ['get', 'projects'],
  ]) {
    const { code, stdout, stderr } = await runCaractrl(args, { dir, server: client.serverUrl });
    if (code !== 0) {
      throw new Error(`Cannot run caractrl ${args.join(' ')}: ${stderr.trim()}`);
    }
    screen.line(`${screen.paint('dim', `$ caractrl ${args.join(' ')}`)}\n${stdout.trimEnd()}\n`);
  }
  const server = client.serverUrl === `http://127.0.0.1:${PREFERRED_PORTS.api}` ? '' : ` --server ${client.serverUrl}`;
  screen.line(isOnce ? 'To try next, in a run without --once on a terminal:' : 'Try next, in another terminal:');
  screen.line(`  curl ${pageUrl}`);
  screen.line(`  ${caractrl}${server} describe project ${PROJECT}`);
  screen.line(`  ${caractrl}${server} delete project ${PROJECT}`);
}

/** Deletes the Project and waits until it is gone. */
export async function deleteProject(client: CaraClient): Promise<void> {
  const signal = AbortSignal.timeout(DELETE_TIMEOUT_MS);
  if ((await client.projects.find(PROJECT, signal)) === undefined) {
    return; // the user has
  }
  await client.projects.delete(PROJECT, {}, signal);
  const isGone = async (): Promise<boolean> => (await client.projects.find(PROJECT, signal)) === undefined;
  await until(isGone, { what: 'the Project to be gone', timeoutMs: DELETE_TIMEOUT_MS });
}
