/** Dependencies between the services of a Project: their order, and whether they are met: pure. */
import type { DEPENDENCY_CONDITIONS, Service } from '../../../api/project.ts';
import type { Failure } from '../failure.ts';

export interface Dependency {
  readonly service: string;
  readonly condition: (typeof DEPENDENCY_CONDITIONS)[number];
}

interface ServiceOrder {
  /** What a service depends on comes before it; otherwise as in the spec. */
  readonly ordered: readonly Service[];
  /** Name -> why its place could not be found. The server refuses such specs; this keeps an old one from hanging. */
  readonly failures: ReadonlyMap<string, Failure>;
}

export function orderServices(services: readonly Service[]): ServiceOrder {
  const names = new Set(services.map(({ name }) => name));
  const failures = new Map<string, Failure>();
  const placed = new Set<string>();
  const ordered: Service[] = [];
  let rest = services;
  while (rest.length > 0) {
    const ready = rest.filter(({ dependsOn }) => (dependsOn ?? []).every(({ service }) => placed.has(service) || !names.has(service)));
    const next = ready.length > 0 ? ready : rest; // a cycle: all that is left depends on itself
    for (const service of next) {
      const missing = service.dependsOn?.find((dependency) => !names.has(dependency.service));
      if (missing !== undefined) {
        failures.set(service.name, dependencyFailure(service.name, `depends on "${missing.service}", which the Project does not have`));
      } else if (ready.length === 0) {
        failures.set(service.name, dependencyFailure(service.name, `depends, in a circle, on itself`));
      }
      placed.add(service.name);
    }
    ordered.push(...next);
    rest = rest.filter(({ name }) => !placed.has(name));
  }
  return { ordered, failures };
}

export function dependencyFailure(service: string, because: string): Failure {
  return { reason: 'DependencyFailed', message: `Cannot start service "${service}" as it ${because}` };
}
