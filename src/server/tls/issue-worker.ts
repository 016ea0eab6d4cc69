/** Runs one task of issue.ts in a thread of its own. Callers: issuer.ts */
import { parentPort, workerData } from 'node:worker_threads';
import { issue, type IssueTask } from './issue.ts';

parentPort?.postMessage(await issue(workerData as IssueTask));
