/** Issues certificates beside everything else that the server does. Callers: own-certificates.ts */
import { Worker } from 'node:worker_threads';
import type { Issued, IssueTask } from './issue.ts';

export type { Issued } from './issue.ts';

export type Issuer = (task: IssueTask) => Promise<Issued>;

/** In a thread: the library for it would stay in memory for as long as the server runs. */
export const issueInThread: Issuer = async (task) => {
  const { promise, resolve, reject } = Promise.withResolvers<Issued>();
  const worker = new Worker(new URL('./issue-worker.ts', import.meta.url), { workerData: task, execArgv: [] });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', () => reject(new Error('the thread that issues certificates ended without one')));
  return await promise;
};
