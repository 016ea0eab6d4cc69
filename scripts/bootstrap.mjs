/**
 * Runs a script of ours on a bare machine: installs the packages where they are missing, then starts the script with Node 26.
 *
 *   node scripts/bootstrap.mjs [SCRIPT.ts] [ARGUMENTS...]
 *
 * Plain JavaScript without packages. This file keeps to syntax and modules that Node 12 reads, so that an old Node gets a sentence
 * and not a syntax error; the work is in lib/setup.mjs, which asks for Node 18.
 */
/* oxlint-disable no-console -- it prints, before anything else is there */
const major = Number(process.versions.node.split('.')[0]);
if (major < 18) {
  console.error(
    `error: Cannot set up as Node 18 or newer is needed: this is Node ${process.versions.node}; install a newer one from your system or nodejs.org`,
  );
  process.exitCode = 1;
} else {
  void import('./lib/setup.mjs').then((setup) => setup.main(process.argv.slice(2)));
}
