/** caractrl diff: what an apply would change. */
import { defineCommand, flag, list, type CommandContext } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import type { Screen } from '../io.ts';
import type { Manifest } from '../manifest/manifest-file.ts';
import { renderDocument } from '../output/document.ts';
import { unifiedDiff, type DiffLine } from '../output/line-diff.ts';
import { paint, type Tone } from '../output/paint.ts';
import { toOneLine } from '../output/printable.ts';
import { reportFailure } from '../report-failure.ts';
import { resourceOf } from '../resource-view.ts';
import { writtenPartOf, wouldBe, type Written } from '../manifest/would-be.ts';

interface DiffOptions {
  readonly filename: readonly string[];
  readonly recursive: boolean;
}

/** As diff(1) and kubectl have it: 1 is no failure here, but a difference. */
const DIFFERS = 1;
const FAILED = 2;

export const diffCommand = defineCommand({
  name: 'diff',
  summary: 'Show what an apply would change; exit code 0: nothing, 1: something, 2: it failed',
  args: '',
  options: {
    filename: list('file', 'a manifest file, a folder of *.yaml, *.yml, *.json, or - for standard input', 'f'),
    recursive: flag('look into the folders of folders too', { short: 'R' }),
  },
  examples: [
    { command: 'caractrl diff -f shop.yaml', does: 'what is there now against what the file says' },
    { command: 'caractrl diff -R -f deploy/ || caractrl apply -R -f deploy/', does: 'apply only where something differs' },
  ],
  run: async (context, _: readonly string[], options: DiffOptions) => {
    try {
      return await runDiff(context, options);
    } catch (error) {
      context.signal.throwIfAborted();
      reportFailure(error, { stderr: context.io.stderr, output: context.output, env: {} });
      return FAILED;
    }
  },
});

async function runDiff(context: CommandContext, { filename, recursive }: DiffOptions): Promise<number> {
  const { io, signal, connect } = context;
  if (filename.length === 0) {
    throw new UsageError('Cannot tell what to compare as no file is given', { hint: 'caractrl diff -f FILE' });
  }
  const { readSources } = await import('../manifest/manifest-source.ts');
  const sources = await readSources(filename, { isRecursive: recursive, io }, signal);
  const { readManifests } = await import('../manifest/manifest-file.ts');
  const manifests = readManifests(sources);
  const client = await connect();
  let hasChanges = false;
  for (const { type, name, document } of manifests) {
    const current = await resourceOf(client, type).find(name, signal);
    const before = current === undefined ? [] : await linesOf(writtenPartOf(current));
    const hunks = unifiedDiff(before, await linesOf(wouldBe(document, current)));
    if (hunks.length > 0) {
      hasChanges = true;
      io.stdout.write(renderDiff(io.stdout, { title: `${type}/${name}`, isNew: current === undefined, hunks }));
    }
  }
  tellOfSecrets(context, manifests);
  return hasChanges ? DIFFERS : 0;
}

/** In an order of the fields that is the same for both sides. */
async function linesOf(written: Written): Promise<readonly string[]> {
  return (await renderDocument('yaml', sorted(written))).trimEnd().split('\n');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(sorted);
  }
  const rank = ([key]: readonly [string, unknown]): string => (key === 'name' ? '' : key);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted((left, right) => (rank(left) < rank(right) ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

const LOOKS: Readonly<Record<DiffLine['kind'], { readonly sign: string; readonly tone: Tone }>> = {
  same: { sign: ' ', tone: 'plain' },
  removed: { sign: '-', tone: 'bad' },
  added: { sign: '+', tone: 'good' },
};

function renderDiff(
  screen: Screen,
  { title, isNew, hunks }: { readonly title: string; readonly isNew: boolean; readonly hunks: readonly (readonly DiffLine[])[] },
): string {
  const head = [`--- ${title}${isNew ? ' (not there yet)' : ''}`, `+++ ${title} as it would be`].map((line) =>
    paint(screen, 'strong', line),
  );
  const body = hunks.flatMap(([place, ...lines]) => [
    paint(screen, 'dim', place?.text ?? ''),
    ...lines.map(({ kind, text }) => paint(screen, LOOKS[kind].tone, LOOKS[kind].sign + toOneLine(text))),
  ]);
  return `${[...head, ...body].join('\n')}\n`;
}

function tellOfSecrets({ io }: CommandContext, manifests: readonly Manifest[]): void {
  if (manifests.some(({ type }) => type === 'secret')) {
    io.stderr.write('note: of Secrets the keys are compared and not the values, which stay on the server\n');
  }
}
