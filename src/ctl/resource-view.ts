/** What the verbs that work on any type need of each: how to reach it, and how it looks in a table. */
import { ApiError } from '../api/errors.ts';
import type { NodeObject } from '../api/node.ts';
import type { ProjectObject } from '../api/project.ts';
import type { SecretObject } from '../api/secret.ts';
import type { CaraClient } from '../client/cara-client.ts';
import type { ResourceClient } from '../client/resource-client.ts';
import type { Column } from './output/column.ts';
import { NODE_COLUMNS } from './output/node-columns.ts';
import { PROJECT_COLUMNS } from './output/project-columns.ts';
import { SECRET_COLUMNS } from './output/secret-columns.ts';
import type { Cell } from './output/table.ts';
import type { ResourceType } from './resource-type.ts';

export type AnyObject = NodeObject | ProjectObject | SecretObject;

export function resourceOf(client: CaraClient, type: ResourceType): ResourceClient<AnyObject> {
  switch (type) {
    case 'node':
      return client.nodes;
    case 'project':
      return client.projects;
    case 'secret':
      return client.secrets;
    default:
      return type satisfies never;
  }
}

/** In our words: the server's name the path. */
export function notFound(type: ResourceType, name: string): ApiError {
  return new ApiError('NotFound', `${type} ${JSON.stringify(name)} not found`);
}

export interface TableShape {
  readonly headers: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export interface TableView {
  readonly isWide: boolean;
  readonly nowMs: number;
  /** with a column of them */
  readonly hasLabels?: boolean;
}

/** Objects of one type as a table. */
export function tableOf(type: ResourceType, objects: readonly AnyObject[], view: TableView): TableShape {
  switch (type) {
    case 'node':
      return shape(NODE_COLUMNS, ofKind(objects, 'Node'), view);
    case 'project':
      return shape(PROJECT_COLUMNS, ofKind(objects, 'Project'), view);
    case 'secret':
      return shape(SECRET_COLUMNS, ofKind(objects, 'Secret'), view);
    default:
      return type satisfies never;
  }
}

function ofKind<Kind extends AnyObject['kind']>(objects: readonly AnyObject[], kind: Kind): readonly Extract<AnyObject, { kind: Kind }>[] {
  return objects.filter((object): object is Extract<AnyObject, { kind: Kind }> => object.kind === kind);
}

const LABELS: Column<AnyObject> = {
  header: 'LABELS',
  cell: ({ metadata }) =>
    Object.entries(metadata.labels)
      .map(([key, value]) => `${key}=${value}`)
      .toSorted()
      .join(',') || '-',
};

function shape<Item extends AnyObject>(
  columns: readonly Column<Item>[],
  items: readonly Item[],
  { isWide, nowMs, hasLabels = false }: TableView,
): TableShape {
  const shown = [...columns.filter((column) => isWide || column.isWide !== true), ...(hasLabels ? [LABELS] : [])];
  return { headers: shown.map(({ header }) => header), rows: items.map((item) => shown.map((column) => column.cell(item, nowMs))) };
}
