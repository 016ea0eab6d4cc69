/** What a schema cannot say about the health check of a service; pure. Callers: project-rules.ts. */
import { durationToMs, formatDuration } from '../duration.ts';
import type { FieldError } from '../errors.ts';
import type { HealthCheck } from './health-check.ts';
import type { Service } from '../project.ts';

/** Every service of a fleet may ask for so many checks: no more often than this. */
const LEAST_MS = 100;

/** They are about the connection, which is the agent's, or announce a body that never comes. */
const TAKEN_HEADERS = ['connection', 'content-length', 'expect', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade'];

/** @param base the pointer of the service */
export function checkHealth({ healthCheck }: Service, base: string): readonly FieldError[] {
  if (healthCheck === undefined) {
    return [];
  }
  const pointer = `${base}/healthCheck`;
  return [...checkKind(healthCheck, pointer), ...checkTest(healthCheck, pointer), ...checkByAgent(healthCheck, pointer)];
}

function checkKind(check: HealthCheck, pointer: string): readonly FieldError[] {
  const given = (['test', 'httpGet', 'tcpSocket'] as const).filter((kind) => check[kind] !== undefined);
  if (given.length === 0) {
    return [{ pointer, detail: 'must have one of test, httpGet and tcpSocket' }];
  }
  return given.length > 1 ? [{ pointer, detail: `has ${given.join(' and ')}, which exclude each other: keep one` }] : [];
}

function checkTest({ test, startInterval }: HealthCheck, pointer: string): readonly FieldError[] {
  if (test === undefined) {
    return [];
  }
  const [kind, ...words] = test;
  const errors: FieldError[] = [];
  if (kind !== 'CMD' && kind !== 'CMD-SHELL' && kind !== 'NONE') {
    errors.push({ pointer: `${pointer}/test/0`, detail: `must be CMD, CMD-SHELL or NONE: current value is ${JSON.stringify(kind)}` });
  } else if (kind === 'NONE' && words.length > 0) {
    errors.push({ pointer: `${pointer}/test`, detail: 'must have nothing after NONE, which stands for no health check' });
  } else if (kind !== 'NONE' && words.length === 0) {
    errors.push({ pointer: `${pointer}/test`, detail: `must have a command after ${kind}, such as [${kind}, pg_isready]` });
  }
  if (startInterval !== undefined) {
    errors.push({
      pointer: `${pointer}/startInterval`,
      detail: 'goes with httpGet and tcpSocket alone, as the engine that runs test has none',
    });
  }
  return errors;
}

function checkByAgent(check: HealthCheck, pointer: string): readonly FieldError[] {
  if (check.httpGet === undefined && check.tcpSocket === undefined) {
    return [];
  }
  const spans = (['interval', 'timeout', 'startInterval'] as const).flatMap((field) => {
    const text = check[field];
    return text !== undefined && durationToMs(text) < LEAST_MS
      ? [{ pointer: `${pointer}/${field}`, detail: `must be at least ${formatDuration(LEAST_MS)}: current value is ${text}` }]
      : [];
  });
  const headers = (check.httpGet?.httpHeaders ?? []).flatMap(({ name }, index) =>
    TAKEN_HEADERS.includes(name.toLowerCase())
      ? [{ pointer: `${pointer}/httpGet/httpHeaders/${index}/name`, detail: `must not be ${name}, which the agent sets itself` }]
      : [],
  );
  return [...spans, ...headers];
}
