/** Makes Project objects for tests, as the server would hand them out. */
import type { ProjectObject, ProjectSpec, Service } from '../../../src/api/project.ts';

export interface ProjectOptions {
  readonly name?: string;
  readonly uid?: string;
  readonly services?: readonly Service[];
  readonly volumes?: ProjectSpec['volumes'];
  readonly generation?: number;
  readonly assignment?: number;
  readonly isDeleted?: boolean;
}

/** A Project "shop", uid "u1", with one service "web" of image "web:1", assigned for the first time. */
export function makeProject(options: ProjectOptions = {}): ProjectObject {
  const { name = 'shop', uid = 'u1', services = [{ name: 'web', image: 'web:1' }], volumes, generation = 1, assignment = 1 } = options;
  const at = '2026-01-01T00:00:00Z';
  return {
    apiVersion: 'caravanserai/v1',
    kind: 'Project',
    metadata: {
      name,
      uid,
      labels: {},
      annotations: {},
      resourceVersion: '1',
      generation,
      createdAt: at,
      updatedAt: at,
      ...(options.isDeleted === true && { deletedAt: at }),
    },
    spec: { services: [...services], ...(volumes !== undefined && { volumes }) },
    status: { phase: 'Scheduled', nodeRef: 'worker-01', assignment, observedGeneration: 0, services: [], conditions: [] },
  };
}
