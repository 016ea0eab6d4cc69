/** `GET /api/v1/exec/{project}/{service}`: a command in a service's container. */
import { ApiError } from '../../api/errors.ts';
import type { TerminalSize } from '../../api/exec-frames.ts';
import type { Clock } from '../../base/clock.ts';
import { EngineError } from '../docker/engine-error.ts';
import type { Engine, ExecSpec } from '../docker/engine.ts';
import type { ExecLedger } from '../exec/exec-ledger.ts';
import { runExec, type ExecPorts } from '../exec/exec-session.ts';
import type { Route } from './route.ts';
import { getRunningContainer, serviceOf, type ContainerSources, type ServiceName } from './service-container.ts';

export interface ExecSources extends ContainerSources {
  readonly engine: ContainerSources['engine'] & Pick<Engine, 'createExec' | 'startExec' | 'resizeExec' | 'inspectExec'>;
  readonly clock: Clock;
  readonly abandon: ExecPorts['abandon'];
  readonly ledger: ExecLedger;
  /** aborts when the agent stops */
  readonly stopSignal: AbortSignal;
}

export function execRoute(sources: ExecSources): Route {
  const { engine, clock, abandon, ledger, stopSignal } = sources;
  return {
    kind: 'stream',
    path: /^\/api\/v1\/exec\/(?<project>[^/]+)\/(?<service>[^/]+)$/u,
    open: async ({ params, url, signal }) => {
      const name = serviceOf(params);
      const spec = readSpec(url.searchParams);
      const container = await getRunningContainer(sources, { ...name, action: 'run a command in' }, signal);
      const execId = await explaining(name, () => engine.createExec(container.id, spec, signal));
      const { command, hasTty } = spec;
      const size = hasTty ? readSize(url.searchParams) : undefined;
      ledger.begun({ execId, containerId: container.id, hasTty });
      // not by the signal: who has gone is told by the session, which sees to what is left
      const process = await explaining(name, () => engine.startExec(execId, { hasTty }, new AbortController().signal)).catch(
        (error: unknown) => {
          ledger.over(execId);
          throw error;
        },
      );
      process.on('error', () => undefined); // cut: its reader learns
      const session = { name, command, containerId: container.id, execId, hasTty, size, process };
      return async (stream, ended) => {
        await runExec({ engine, clock, abandon }, session, stream, AbortSignal.any([ended, stopSignal]));
        ledger.over(execId); // else it was abandoned
      };
    },
  };
}

/** @throws {ApiError} Invalid */
function readSpec(query: URLSearchParams): ExecSpec {
  const command = query.getAll('command');
  if ((command[0] ?? '') === '') {
    throw new ApiError('Invalid', 'Cannot run a command as none is given');
  }
  const [user, workingDir] = [query.get('user'), query.get('workingDir')];
  return {
    command,
    hasTty: query.get('tty') === 'true',
    hasStdin: query.get('stdin') === 'true',
    env: query.getAll('env'),
    ...(user !== null && { user }),
    ...(workingDir !== null && { workingDir }),
  };
}

function readSize(query: URLSearchParams): TerminalSize | undefined {
  const [columns, rows] = [Number(query.get('columns') ?? 0), Number(query.get('rows') ?? 0)];
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
}

/** @throws {ApiError} NotRunning where the engine says that the container is not in a state to */
async function explaining<Result>({ project, service }: ServiceName, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof EngineError && ['Conflict', 'NotFound'].includes(error.reason)) {
      const why = error.message.replace(/^Cannot [^:]*: /u, '');
      throw new ApiError('NotRunning', `Cannot run a command in ${project}/${service} as the engine says: ${why}`, { cause: error });
    }
    if (error instanceof EngineError) {
      throw new ApiError(
        'Unavailable',
        `Cannot run a command in ${project}/${service} as the engine does not play along: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}
