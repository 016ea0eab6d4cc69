/**
 * npm run generate: writes the files that are made from the source: schemas/*.json, docs/openapi.json and docs/seed-promises.md.
 * With --check it writes nothing, names what is out of date, and exits 1.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TSchema } from 'typebox';
import { NodeApply } from '../src/api/node.ts';
import { ProjectApply } from '../src/api/project.ts';
import { SecretApply } from '../src/api/secret.ts';
import { systemClock } from '../src/base/clock.ts';
import { loadConfig } from '../src/base/config.ts';
import { createLogger } from '../src/base/log.ts';
import { systemRandom } from '../src/base/random.ts';
import { serverSettings } from '../src/server/config.ts';
import { toJsonSchema } from '../src/server/http/openapi.ts';
import { startServer } from '../src/server/main.ts';
import { createMemoryStore } from '../src/store/memory-store.ts';
import { DOCUMENTS } from '../test/seed/promises.ts';
import { renderPromises } from './lib/seed-promises.ts';

const ROOT = path.join(import.meta.dirname, '..');

/** Path in the repository -> content as it should be: text, or a value for JSON. */
async function generate(): Promise<ReadonlyMap<string, unknown>> {
  return new Map<string, unknown>([
    ['schemas/node.json', describeManifest('Node', NodeApply)],
    ['schemas/project.json', describeManifest('Project', ProjectApply)],
    ['schemas/secret.json', describeManifest('Secret', SecretApply)],
    ['docs/openapi.json', await describeApi()],
    ['docs/seed-promises.md', renderPromises(DOCUMENTS)],
  ]);
}

/** A manifest as `caractrl apply` takes it, for editors. */
function describeManifest(title: string, schema: TSchema): object {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title, ...toJsonSchema(schema) };
}

/** What a server answers at /openapi.json. */
async function describeApi(): Promise<unknown> {
  const config = loadConfig(serverSettings({ env: {}, isRoot: true }), { argv: [], env: {} });
  const log = createLogger('generate', { level: 'error', format: 'json' });
  const store = createMemoryStore({ clock: systemClock });
  const server = await startServer({ config, clock: systemClock, random: systemRandom, log, store, listen: false });
  const answer = await server.app.inject('/openapi.json');
  await server.stop();
  await store.close();
  return answer.json();
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

const isCheck = process.argv.includes('--check');
const stale: string[] = [];
for (const [name, content] of await generate()) {
  const file = path.join(ROOT, name);
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`;
  if ((await readIfThere(file)) !== text) {
    stale.push(name);
    if (!isCheck) {
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  }
}
const words =
  stale.length === 0
    ? 'Generated files are up to date'
    : `${isCheck ? 'Out of date, run npm run generate' : 'Written'}: ${stale.join(', ')}`;
process.stdout.write(`${words}\n`);
process.exitCode = isCheck && stale.length > 0 ? 1 : 0;
