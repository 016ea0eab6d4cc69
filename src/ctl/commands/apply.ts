/** caractrl apply: makes the server's objects what manifests say. */
import { ApiError } from '../../api/errors.ts';
import type { ProjectObject } from '../../api/project.ts';
import type { ApplyResult } from '../../client/resource-client.ts';
import { defineCommand, duration, flag, list, type CommandContext } from '../command.ts';
import { CtlError, UsageError } from '../ctl-error.ts';
import type { Manifest } from '../manifest/manifest-file.ts';
import { renderDocument, toDocument } from '../output/document.ts';
import { formatSeconds } from '../output/age.ts';
import { hintOf, reportFailure } from '../report-failure.ts';
import { resourceOf, type AnyObject } from '../resource-view.ts';

interface ApplyOptions {
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

export const applyCommand = defineCommand({
  name: 'apply',
  summary: 'Create or change what manifests describe',
  args: '',
  options: {
    filename: list('file', 'a manifest file, a folder of *.yaml, *.yml, *.json, or - for standard input', 'f'),
    recursive: flag('look into the folders of folders too', { short: 'R' }),
    wait: flag('wait until every Project runs what was applied'),
    timeout: duration('how long to wait at most', '5m'),
    dryRun: flag('only check the manifests; nothing is sent'),
  },
  examples: [
    { command: 'caractrl apply -f node.yaml', does: 'create or change what one file describes' },
    { command: 'caractrl apply -f shop/ --wait', does: 'a folder, and wait until it runs' },
    { command: 'sed s/v1/v2/ shop.yaml | caractrl apply -f -', does: 'from standard input' },
    { command: 'caractrl apply --dry-run -R -f deploy/', does: 'check all manifests below a folder' },
  ],
  run: runApply,
});

async function runApply(context: CommandContext, _: readonly string[], options: ApplyOptions): Promise<number> {
  const { io, signal } = context;
  if (options.filename.length === 0) {
    throw new UsageError('Cannot tell what to apply as no file is given', { hint: 'caractrl apply -f FILE' });
  }
  const { readSources } = await import('../manifest/manifest-source.ts');
  const sources = await readSources(options.filename, { isRecursive: options.recursive, io }, signal);
  const { readManifests } = await import('../manifest/manifest-file.ts');
  // Projects last: they may select a label that a Node of the same set brings, or use a Secret of it
  const manifests = readManifests(sources).toSorted((left, right) => Number(left.type === 'project') - Number(right.type === 'project'));
  if (options.dryRun) {
    io.stdout.write(manifests.map(({ type, name }) => `${type}/${name} valid (dry run: nothing was sent)\n`).join(''));
    return 0;
  }
  const startMs = context.clock.monotonicMs();
  const { objects, failures } = await applyAll(context, manifests);
  if (failures > 0) {
    await printDocuments(context, objects);
    return 1;
  }
  const projects = objects.filter((object) => object.kind === 'Project');
  if (!options.wait || projects.length === 0) {
    await printDocuments(context, objects);
    return 0;
  }
  await waitAndPrint(context, { objects, projects, startMs, timeoutMs: options.timeout });
  return 0;
}

/** Sends one after the other. What the server refuses is said and does not hold up the others; a server that is away ends it. */
async function applyAll(
  context: CommandContext,
  manifests: readonly Manifest[],
): Promise<{ readonly objects: readonly AnyObject[]; readonly failures: number }> {
  const { io, output, signal } = context;
  const client = await context.connect();
  const objects: AnyObject[] = [];
  let failures = 0;
  for (const manifest of manifests) {
    const { type, name, document } = manifest;
    try {
      const { object, result, warnings } = await resourceOf(client, type).apply(name, document, signal);
      objects.push(object);
      for (const warning of warnings) {
        io.stderr.write(`warning: ${type}/${name}: ${warning}\n`);
      }
      printResult(context, { type, name, result });
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason === 'Unavailable' || error.reason === 'Unauthorized') {
        throw withProgress(error, { done: objects.length, total: manifests.length });
      }
      failures += 1;
      reportFailure(output === 'json' ? error : explainRefusal(error, manifest), { stderr: io.stderr, output, env: {} });
    }
  }
  return { objects, failures };
}

function withProgress(error: unknown, { done, total }: { readonly done: number; readonly total: number }): unknown {
  return error instanceof ApiError && done > 0
    ? new CtlError(`${error.message} (${done} of ${total} manifests were applied before)`, {
        cause: error,
        hint: 'apply again once it answers: what was applied stays unchanged',
      })
    : error;
}

/** With the places in the file where the server found mistakes that we did not. */
function explainRefusal(error: ApiError, manifest: Manifest): CtlError {
  // a conflict is no mistake in the file: it tells of the object
  const details = error.reason === 'Conflict' ? [] : error.errors.map((fieldError) => manifest.describe(fieldError));
  const [only] = details;
  const hint = hintOf(error);
  return details.length === 1 && only !== undefined
    ? new CtlError(only, { cause: error })
    : new CtlError(`Cannot apply ${manifest.type}/${manifest.name} of ${manifest.file}: ${error.message}`, {
        cause: error,
        details,
        ...(hint !== undefined && { hint }),
      });
}

function printResult(
  { io, output = 'table' }: CommandContext,
  { type, name, result }: { readonly type: string; readonly name: string; readonly result: ApplyResult },
): void {
  if (output === 'table' || output === 'wide') {
    io.stdout.write(`${type}/${name} ${result}\n`);
  } else if (output === 'name') {
    io.stdout.write(`${type}/${name}\n`);
  }
}

async function printDocuments({ io, output }: CommandContext, objects: readonly AnyObject[]): Promise<void> {
  if ((output === 'json' || output === 'yaml') && objects.length > 0) {
    io.stdout.write(await renderDocument(output, toDocument(objects, { isSingle: true, listKind: 'List' })));
  }
}

interface WaitInput {
  readonly objects: readonly AnyObject[];
  /** those of the objects that can run */
  readonly projects: readonly ProjectObject[];
  /** monotonic, when the apply began */
  readonly startMs: number;
  readonly timeoutMs: number;
}

async function waitAndPrint(context: CommandContext, { objects, projects, startMs, timeoutMs }: WaitInput): Promise<void> {
  const { io, output = 'table' } = context;
  const { waitUntilRunning } = await import('../waiting/wait-running.ts');
  const secrets = objects.filter((object) => object.kind === 'Secret');
  const running = await waitUntilRunning(context, { projects, secrets, timeoutMs });
  const elapsedMs = context.clock.monotonicMs() - startMs;
  if (output === 'table' || output === 'wide') {
    for (const { metadata, spec, status } of running) {
      const count = spec.services.length === 1 ? '1 service' : `${spec.services.length} services`;
      io.stdout.write(
        `project/${metadata.name} running on ${status.nodeRef ?? 'its node'} (${count}, after ${formatSeconds(elapsedMs)})\n`,
      );
    }
  }
  const latest = new Map(running.map((project) => [project.metadata.uid, project]));
  await printDocuments(
    context,
    objects.map((object) => latest.get(object.metadata.uid) ?? object),
  );
}
