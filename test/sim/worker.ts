/** A process that runs seeds for main.ts, one at a time: told a number, it answers with what came of it. */
import { drawPlan, type Plan } from './plan.ts';
import { runPlan } from './run-plan.ts';
import { shrink } from './shrink.ts';

/** Much is thrown away soon: with room for it, and in one thread as there is a process for each core, a run takes half of the time. */
export const WORKER_FLAGS = ['--single-threaded-gc', '--min-semi-space-size=32', '--max-semi-space-size=32'];

export interface Order {
  readonly seed: number;
  readonly isShrinking: boolean;
}

export interface Result {
  readonly seed: number;
  readonly virtualMs: number;
  readonly violation: string | undefined;
  /** how it fails, and the smallest plan found that does */
  readonly shrunk: { readonly violation: string | undefined; readonly plan: Plan } | undefined;
}

async function run({ seed, isShrinking }: Order): Promise<Result> {
  const plan = drawPlan(String(seed));
  const { violation, virtualMs } = await runPlan(plan);
  if (violation === undefined || !isShrinking) {
    return { seed, virtualMs, violation, shrunk: undefined };
  }
  const small = await shrink(plan, () => undefined);
  return { seed, virtualMs, violation, shrunk: { violation: small.outcome.violation, plan: small.plan } };
}

if (import.meta.main) {
  process.on('message', (order: Order) => {
    void run(order).then((result) => process.send?.(result));
  });
  process.on('disconnect', () => process.exit());
}
