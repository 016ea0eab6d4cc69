/** Small questions that end-to-end tests ask the API and a page, without our own client: what they say is what curl would see. */
import { until } from '../../../scripts/lib/wait.ts';

/** As much of an object of the API as tests read. */
export interface SeenObject {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string; readonly generation: number };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>> & { readonly phase?: string; readonly state?: string };
}

/** GET of one object. @returns undefined for 404 @throws {Error} for any other answer than 200 */
export async function findObject(serverUrl: string, path: string): Promise<SeenObject | undefined> {
  const response = await fetch(new URL(`/api/v1/${path}`, serverUrl));
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (response.status !== 200) {
    throw new Error(`Cannot get ${path}: status ${response.status}: ${await response.text()}`);
  }
  return (await response.json()) as SeenObject;
}

/** Waits until a Project is in a phase; what it was last goes into the failure. */
export async function projectInPhase(
  serverUrl: string,
  { name, phase, timeoutMs = 60_000 }: { name: string; phase: string; timeoutMs?: number },
): Promise<SeenObject> {
  let last: SeenObject | undefined;
  return await until(
    async () => {
      last = await findObject(serverUrl, `projects/${name}`);
      return last?.status.phase === phase && last;
    },
    { what: `project ${name} to be ${phase}`, timeoutMs },
  ).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : String(error)}; last seen: ${JSON.stringify(last?.status)}`, {
      cause: error,
    });
  });
}

/** Waits until a Node is in a state. */
export async function nodeInState(
  serverUrl: string,
  { name, state, timeoutMs = 60_000 }: { name: string; state: string; timeoutMs?: number },
): Promise<SeenObject> {
  const look = async (): Promise<SeenObject | false> => {
    const node = await findObject(serverUrl, `nodes/${name}`);
    return node?.status.state === state && node;
  };
  return await until(look, { what: `node ${name} to be ${state}`, timeoutMs });
}

/** Fetches a page, trying again until it answers 200. @returns its text */
export async function fetchPage(url: string, timeoutMs = 60_000): Promise<string> {
  const look = async (): Promise<string | false> => {
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    const text = await response.text();
    return response.status === 200 && text;
  };
  return await until(look, { what: `the page at ${url}`, timeoutMs });
}
