/** Health and last exit of a service, for `describe project`. */
import type { HealthCheck } from '../../api/project/health-check.ts';
import type { ServiceHealth } from '../../api/project.ts';
import { describeExit, type ServiceExit } from '../../api/project/service-exit.ts';
import { ageOf } from './age.ts';

/** `Unhealthy: GET http://… answered 503 Service Unavailable` */
export function describeHealth({ state, output }: ServiceHealth): string {
  return output === undefined ? state : `${state}: ${output}`;
}

/** `exited with code 137 (SIGKILL), 3s after it started, 5m ago` */
export function describeLastExit(exit: ServiceExit, nowMs: number): string {
  return `${describeExit(exit)}, ${ageOf(exit.finishedAt, nowMs)} ago`;
}

/** `GET http :8080/ready, every 5s, by the agent`; what is left out has its default */
export function describeCheck(check: HealthCheck): string {
  const times = [
    check.interval === undefined ? undefined : `every ${check.interval}`,
    check.timeout === undefined ? undefined : `timeout ${check.timeout}`,
    check.retries === undefined ? undefined : `${check.retries} retries`,
    check.startPeriod === undefined ? undefined : `start period ${check.startPeriod}`,
  ];
  return [describeKind(check), ...times].filter((part) => part !== undefined).join(', ');
}

function describeKind({ test, httpGet, tcpSocket }: HealthCheck): string {
  if (httpGet !== undefined) {
    const { scheme = 'HTTP', port, path = '/' } = httpGet;
    return `GET ${path} on port ${port}${scheme === 'HTTPS' ? ' over HTTPS' : ''} by the agent`;
  }
  if (tcpSocket !== undefined) {
    return `TCP connection to port ${tcpSocket.port} by the agent`;
  }
  const [kind, ...words] = test ?? [];
  return kind === 'NONE' ? 'none' : words.join(' ');
}
