/**
 * npm run audit: known weaknesses of what we depend on, by the lock file alone. Fails for those that are high or critical; a registry that
 * does not answer, or knows no audits, is told and fails nothing: a release must not wait for somebody else's server.
 */
import path from 'node:path';
import { run } from './lib/run.ts';

const ROOT = path.join(import.meta.dirname, '..');
const TIMEOUT_MS = 60_000;
const SERIOUS = new Set(['high', 'critical']);

interface Report {
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly severity: string; readonly range: string; readonly fixAvailable: unknown }>
  >;
}

const { stdout, stderr } = await run('npm', ['audit', '--json', '--package-lock-only'], { cwd: ROOT, timeoutMs: TIMEOUT_MS });
const { vulnerabilities } = readReport(stdout);
if (vulnerabilities === undefined) {
  const why = stderr.split('\n').find((line) => /npm (?:warn audit|error)/u.test(line));
  process.stdout.write(`Audit skipped as the registry gave none: ${why ?? 'no answer'}\n`);
} else {
  const found = Object.entries(vulnerabilities);
  for (const [name, { severity, range, fixAvailable }] of found) {
    process.stdout.write(`${severity} ${name} ${range}${fixAvailable === false ? '' : ' (a newer version mends it)'}\n`);
  }
  const serious = found.filter(([, { severity }]) => SERIOUS.has(severity)).length;
  process.stdout.write(`Audit: ${found.length} known weaknesses, ${serious} of them high or critical\n`);
  process.exitCode = serious === 0 ? 0 : 1;
}

function readReport(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {};
  }
}
