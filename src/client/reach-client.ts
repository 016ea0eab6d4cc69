/** Reaching into services, as functions. */
import { ApiError } from '../api/errors.ts';
import type { TerminalSize } from '../api/exec-frames.ts';
import type { WebSocketStream } from '../base/web-socket.ts';
import type { Transport } from './transport.ts';

export interface ServiceRef {
  readonly project: string;
  readonly service: string;
}

export interface ReachClient {
  /**
   * Opens a TCP connection to a port of a service: its bytes both ways, each direction ending by itself.
   * @throws {ApiError} NotRunning, NotListening, NodeUnreachable, NotFound, TooManyRequests, Unavailable
   */
  connect(service: ServiceRef, port: number, signal: AbortSignal): Promise<WebSocketStream>;
  /**
   * Runs a command in a service's container; api/exec-frames.ts has what goes over the stream.
   * @throws {ApiError} NotRunning, NodeUnreachable, NotFound, TooManyRequests, Unavailable
   */
  exec(service: ServiceRef, spec: ExecRequest, signal: AbortSignal): Promise<WebSocketStream>;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
  /** of the terminal */
  readonly size?: TerminalSize | undefined;
  readonly user?: string | undefined;
  readonly workingDir?: string | undefined;
  /** NAME=value each */
  readonly env: readonly string[];
}

/** What fits into the head of a request, with room for the rest of it. */
const MAX_EXEC_QUERY = 12_000;

export function createReachClient(transport: Transport): ReachClient {
  const pathOf = ({ project, service }: ServiceRef): string =>
    `/api/v1/projects/${encodeURIComponent(project)}/services/${encodeURIComponent(service)}`;
  return {
    connect: (ref, port, signal) =>
      transport.open(
        { path: `${pathOf(ref)}/portforward?port=${port}`, action: `connect to port ${port} of ${ref.project}/${ref.service}` },
        signal,
      ),
    exec: async (ref, spec, signal) => {
      const query = execQuery(spec);
      if (query.length > MAX_EXEC_QUERY) {
        throw new ApiError(
          'HeadersTooLarge',
          `Cannot run a command of ${query.length} characters as at most ${MAX_EXEC_QUERY} fit: give what is long by standard input, with -i`,
        );
      }
      const action = `run a command in ${ref.project}/${ref.service}`;
      return await transport.open({ path: `${pathOf(ref)}/exec?${query}`, action }, signal);
    },
  };
}

function execQuery({ command, env, stdin, tty, size, user, workingDir }: ExecRequest): string {
  const parameters = new URLSearchParams();
  command.forEach((word) => parameters.append('command', word));
  env.forEach((variable) => parameters.append('env', variable));
  for (const [name, value] of Object.entries({ stdin, tty, ...size, user, workingDir })) {
    if (value !== undefined) {
      parameters.set(name, String(value));
    }
  }
  return parameters.toString();
}
