/**
 * A process for store-crash.test.ts: several callers write into one store as fast as they can and print each acknowledgement, until the
 * process is killed. Arguments: URL of the database, round, callers.
 */
import { systemClock } from '../../../src/base/clock.ts';
import { openStore } from '../../../src/store/open-store.ts';
import { draft, silentLog } from './store-backends.ts';

const [url = '', round = '', callers = ''] = process.argv.slice(2);
const store = await openStore(url, { clock: systemClock, log: silentLog, logSize: 200 });
await print('ready');

/** Waits until the reader's end has it: a synchronous write fails where the reader lags (EAGAIN). */
async function print(line: string): Promise<void> {
  await new Promise((resolve) => {
    process.stdout.write(`${line}\n`, resolve);
  });
}

/** Each commit makes an object and raises the caller's own counter: both are there or neither is. */
async function runCaller(caller: number): Promise<never> {
  for (let step = 1; ; step += 1) {
    const counter = draft(`counter-${round}-${caller}`, step);
    const made = draft(`made-${round}-${caller}-${step}`, step);
    const results = await store.commit([
      { op: 'create', object: made },
      step === 1 ? { op: 'create', object: counter } : { op: 'update', object: counter },
    ]);
    await print(`${caller} ${step} ${results[0]?.metadata.resourceVersion} ${results[1]?.metadata.resourceVersion}`);
  }
}

await Promise.all(Array.from({ length: Number(callers) }, (_, caller) => runCaller(caller)));
