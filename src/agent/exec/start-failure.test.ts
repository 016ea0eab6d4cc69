import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explainStartFailure } from './start-failure.ts';

const RUNC = 'OCI runtime exec failed: exec failed: unable to start container process: ';

describe('explainStartFailure()', () => {
  for (const [words, reason, message] of [
    [
      `${RUNC}exec: "sh": executable file not found in $PATH: unknown\r\n`,
      'NoSuchProgram',
      /no such program sh in the image: name one that is there$/u,
    ],
    [`${RUNC}exec: "sh": stat sh: no such file or directory: unknown`, 'NoSuchProgram', /no such program sh/u],
    [`${RUNC}exec: "sh": permission denied: unknown`, 'NotExecutable', /permission denied$/u],
    [`${RUNC}exec sh: exec format error: unknown`, 'NotExecutable', /no program that this machine can execute/u],
    [`${RUNC}chdir to cwd ("/nope") set in config.json failed: no such file or directory: unknown`, 'NotExecutable', /no folder \/nope/u],
    ['unable to find user bob: no matching entries in passwd file', 'NotExecutable', /no user bob in the image/u],
    ['something new', 'NotExecutable', /the engine says: something new$/u],
  ] as const) {
    it(`explainStartFailure() says ${reason} of ${words.slice(-50).trim()}`, () => {
      const error = explainStartFailure({ project: 'shop', service: 'web', command: ['sh', '-c', 'x'], words });
      assert.equal(error.reason, reason);
      assert.match(error.message, message);
      assert.match(error.message, /^Cannot run sh in shop\/web as /u);
    });
  }
});
