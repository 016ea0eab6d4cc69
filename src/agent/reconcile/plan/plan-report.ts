/** What a plan tells the server of the Project: pure. */
import type { ProjectPhase, ServiceStatus, StatusReport } from '../../../api/project.ts';
import type { DesiredProject } from '../desired.ts';
import type { Rollout } from '../desired/rollout.ts';
import type { Agenda } from './agenda.ts';
import type { ServicePlan } from './plan-service.ts';

const MAX_MESSAGE = 16_384; // as in the schema of StatusReport

/** Running where every service is ready, Failed where something cannot be brought up, else Scheduled. */
export function summarize(
  desired: DesiredProject,
  plans: readonly ServicePlan[],
  { agenda, rollout }: { readonly agenda: Agenda; readonly rollout: Rollout | undefined },
): StatusReport {
  const services = plans.map(({ status }) => status);
  const ofServices = plans.flatMap(({ status, failure }) =>
    failure === undefined ? [] : [{ reason: failure.reason, message: `${status.name}: ${failure.message}`, origin: failure }],
  );
  const told = new Set([...ofServices.map(({ origin }) => origin), ...plans.map(({ tried }) => tried)]);
  const others = agenda.failures.filter((failure) => !told.has(failure));
  const given = rollout?.failed === undefined ? [] : [{ reason: 'RolledBack' as const, message: rollout.failed.message }];
  const failures = [...given, ...others, ...ofServices];
  if (failures.length > 0) {
    return toReport(desired, 'Failed', { services, failures });
  }
  return toReport(desired, services.every(({ ready }) => ready) ? 'Running' : 'Scheduled', { services, failures });
}

interface Findings {
  readonly services: readonly ServiceStatus[];
  /** the first gives the reason */
  readonly failures: readonly { readonly reason: string; readonly message: string }[];
}

export function toReport(desired: DesiredProject, phase: Exclude<ProjectPhase, 'Pending'>, { services, failures }: Findings): StatusReport {
  const why = failures[0]?.reason ?? (phase === 'Scheduled' ? 'Progressing' : undefined);
  const message = failures.length > 0 ? failures.map((failure) => failure.message).join('; ') : describeProgress(phase, services);
  return {
    phase,
    ...(why !== undefined && { reason: why }),
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE) }),
    assignment: desired.assignment,
    uid: desired.uid,
    observedGeneration: desired.generation,
    ...(desired.secretsRevision !== undefined && { secretsRevision: desired.secretsRevision }),
    services: [...services],
  };
}

function describeProgress(phase: ProjectPhase, services: readonly ServiceStatus[]): string | undefined {
  const pending = services.filter(({ ready }) => !ready);
  return phase === 'Scheduled' && pending.length > 0 ? pending.map(({ name, state }) => `${name} ${state}`).join(', ') : undefined;
}
