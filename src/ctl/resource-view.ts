/** What the verbs that work on any type need of each: how to reach it, and how it looks in a table. */
import { ApiError } from '../api/errors.ts';
import type { NodeObject } from '../api/node.ts';
import type { ProjectObject } from '../api/project.ts';
import type { CaraClient, ResourceClient } from '../client/cara-client.ts';
import type { Column } from './output/column.ts';
import { NODE_COLUMNS } from './output/node-columns.ts';
import { PROJECT_COLUMNS } from './output/project-columns.ts';
import type { Cell } from './output/table.ts';
import type { ResourceType } from './resource-type.ts';

export type AnyObject = NodeObject | ProjectObject;

export function resourceOf(client: CaraClient, type: ResourceType): ResourceClient<AnyObject> {
  return type === 'node' ? client.nodes : client.projects;
}

/** In our words: the server's name the path. */
export function notFound(type: ResourceType, name: string): ApiError {
  return new ApiError('NotFound', `${type} ${JSON.stringify(name)} not found`);
}

export interface TableShape {
  readonly headers: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Objects of one type as a table. */
export function tableOf(
  type: ResourceType,
  objects: readonly AnyObject[],
  view: { readonly isWide: boolean; readonly nowMs: number },
): TableShape {
  return type === 'node'
    ? shape(
        NODE_COLUMNS,
        objects.filter((object) => object.kind === 'Node'),
        view,
      )
    : shape(
        PROJECT_COLUMNS,
        objects.filter((object) => object.kind === 'Project'),
        view,
      );
}

function shape<Item>(
  columns: readonly Column<Item>[],
  items: readonly Item[],
  { isWide, nowMs }: { readonly isWide: boolean; readonly nowMs: number },
): TableShape {
  const shown = columns.filter((column) => isWide || column.isWide !== true);
  return { headers: shown.map(({ header }) => header), rows: items.map((item) => shown.map((column) => column.cell(item, nowMs))) };
}
