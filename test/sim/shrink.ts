/** Makes a failing plan smaller while it fails in the same way: fewer steps, then fewer machines. Greedy, in halves first, as delta debugging does. */
import type { Plan, Step } from './plan.ts';
import { type Outcome, runPlan } from './run-plan.ts';

const MAX_RUNS = 150;
const WORDS = 6; // of what is said of a breach

/** @returns the smallest plan found, and how it fails */
export async function shrink(plan: Plan, onProgress: (text: string) => void): Promise<{ readonly plan: Plan; readonly outcome: Outcome }> {
  let best = { plan, outcome: await runPlan(plan) };
  const kind = kindOf(best.outcome);
  let runs = 0;

  async function attempt(candidate: Plan): Promise<boolean> {
    if (runs >= MAX_RUNS) {
      return false;
    }
    runs += 1;
    const outcome = await runPlan(candidate);
    if (kindOf(outcome) !== kind) {
      return false;
    }
    best = { plan: candidate, outcome };
    onProgress(`${candidate.steps.length} steps on ${candidate.machines.length} machines still break ${kind}`);
    return true;
  }

  await attempt({ ...plan, steps: plan.steps.filter(({ atMs }) => atMs <= best.outcome.virtualMs) });
  for (let size = Math.ceil(best.plan.steps.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.plan.steps.length;) {
      const isGone = await attempt({ ...best.plan, steps: best.plan.steps.toSpliced(at, size) });
      at += isGone ? 0 : size;
    }
  }
  for (const machine of best.plan.machines.slice(1)) {
    const machines = best.plan.machines.filter((name) => name !== machine);
    await attempt({ ...best.plan, machines, steps: best.plan.steps.filter((step) => touches(step) !== machine) });
  }
  for (let servers = (best.plan.servers ?? 1) - 1; servers >= 1; servers -= 1) {
    await attempt({ ...best.plan, servers });
  }
  return best;
}

/** Which promise, and how, without the particulars: another breach of the same promise is another fault. */
function kindOf({ violation }: Outcome): string {
  const words = violation?.replaceAll(/[\w.-]*\d[\w.-]*/gu, '#').split(' ') ?? ['nothing'];
  return words.slice(0, WORDS).join(' ');
}

function touches(step: Step): string | undefined {
  return 'machine' in step ? step.machine : undefined;
}
