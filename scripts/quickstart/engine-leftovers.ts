/** What a Project has in an engine, removed without its agent: only what carries the Project's uid. */
import { callEngine, callEngineJson, isEngineAt } from '../lib/engine-http.ts';

/** Removes containers, networks and volumes of one Project. No-op when the engine does not answer. */
export async function removeProjectFromEngine(host: string, projectUid: string): Promise<void> {
  if (!(await isEngineAt(host))) {
    return;
  }
  const filters = encodeURIComponent(JSON.stringify({ label: [`caravanserai.io/project-uid=${projectUid}`] }));
  const list = async (path: string): Promise<unknown> => await callEngineJson({ host, path });
  const remove = async (path: string): Promise<void> => {
    await callEngine({ host, method: 'DELETE', path }); // 404: gone meanwhile, which is what is wanted
  };
  for (const { Id } of (await list(`/containers/json?all=1&filters=${filters}`)) as { Id: string }[]) {
    await remove(`/containers/${Id}?force=1&v=1`);
  }
  for (const { Id } of (await list(`/networks?filters=${filters}`)) as { Id: string }[]) {
    await remove(`/networks/${Id}`);
  }
  const { Volumes: volumes } = (await list(`/volumes?filters=${filters}`)) as { Volumes: { Name: string }[] | null };
  for (const { Name } of volumes ?? []) {
    await remove(`/volumes/${encodeURIComponent(Name)}`);
  }
}
