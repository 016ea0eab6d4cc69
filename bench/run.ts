/** Runs the benchmarks: `npm run bench`, or `npm run bench -- session` for one. A benchmark is a file here that exports `run`. */
const BENCHMARKS = ['session', 'detection', 'store', 'fleet', 'placement', 'tunnels', 'port-forward'] as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !BENCHMARKS.some((known) => known === name));
if (unknown.length > 0) {
  process.stderr.write(`error: Cannot run ${unknown.join(', ')} as there is no such benchmark: known are ${BENCHMARKS.join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of BENCHMARKS.filter((known) => asked.length === 0 || asked.includes(known))) {
    const benchmark = (await import(`./${name}.ts`)) as { readonly run: () => Promise<void> };
    await benchmark.run();
  }
}
