/** Answers to whoever reads a collection: a list, page by page, or a watch. Callers: routes/resource-routes.ts, routes/volumes.ts. */
import type { FastifyReply } from 'fastify';
import type { ObjectList } from '../../api/meta.ts';
import type { StoredObject } from '../../store/store.ts';
import { concealing } from '../auth/scope.ts';
import { listObjects, type ListRequest } from './list.ts';
import type { RouteInput } from './route.ts';
import { sendList } from './send-list.ts';
import { sendWatch, type WatchDeps } from './watch-response.ts';

/** What any collection may be asked for; see LIST_QUERY. */
export interface CollectionQuery {
  readonly limit?: number;
  readonly continue?: string;
  readonly watch?: boolean;
  readonly resourceVersion?: string;
}

/** Which of the objects of a kind a caller asks for and may see, and how they look. */
export type CollectionView<Item extends StoredObject> = Omit<ListRequest<Item>, 'limit' | 'continue'>;

/** @throws {ApiError} Expired; Invalid for a continue token that is none of ours */
export async function sendCollection<Item extends StoredObject>(
  deps: WatchDeps,
  view: CollectionView<Item>,
  { query, caller, request, reply }: RouteInput<CollectionQuery>,
): Promise<ObjectList<StoredObject> | FastifyReply> {
  if (query.watch === true && request.method !== 'HEAD') {
    const since = query.resourceVersion === undefined ? undefined : Number(query.resourceVersion);
    return sendWatch<Item>(deps, { ...view, since, ...concealing(caller) }, { request, reply });
  }
  const found = await listObjects<Item>(deps.store, {
    ...view,
    ...(query.limit !== undefined && { limit: query.limit }),
    ...(query.continue !== undefined && { continue: query.continue }),
  });
  return sendList(found, { reply, clock: deps.clock });
}
