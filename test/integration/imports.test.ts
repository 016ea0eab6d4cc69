/** What a program loads at its start is memory and time of every user; the schemas' library alone is 20 MB and 50 ms. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const ROOT = path.join(import.meta.dirname, '../..');
const STATIC_IMPORT = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)';/gmu;

/** Every module that `entry` loads before its first line runs: our files by path, packages by name -> who asks for it first. */
function loadedBy(entry: string): ReadonlyMap<string, string> {
  const loaded = new Map([[entry, 'the launcher']]);
  for (const [file] of loaded) {
    if (!file.endsWith('.ts')) {
      continue;
    }
    for (const [, name = ''] of readFileSync(path.join(ROOT, file), 'utf8').matchAll(STATIC_IMPORT)) {
      const target = name.startsWith('.') ? path.join(path.dirname(file), name) : name;
      if (!loaded.has(target)) {
        loaded.set(target, file);
      }
    }
  }
  return loaded;
}

for (const [program, entry] of [
  ['cara-agent', 'src/agent/main.ts'],
  ['caractrl', 'src/ctl/main.ts'],
] as const) {
  test(`${program} starts without the schemas' library, YAML and an HTTP framework`, () => {
    const loaded = loadedBy(entry);
    assert.ok(loaded.has('src/client/cara-client.ts'), 'the walk found less than the program loads');
    for (const heavy of ['typebox', 'typebox/compile', 'yaml', 'fastify', 'node:http', 'prom-client']) {
      const chain: string[] = [];
      for (let name: string | undefined = loaded.has(heavy) ? heavy : undefined; name !== undefined; name = loaded.get(name)) {
        chain.push(name);
      }
      assert.equal(chain.join(' <- '), '', `${heavy} is loaded`);
    }
  });
}
