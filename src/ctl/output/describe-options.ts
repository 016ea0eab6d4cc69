/** The options of a service that are set, a line each, for `describe project`. */
import type { Service } from '../../api/project.ts';

const RESTARTS = { Always: 'always', OnFailure: 'when it fails', Never: 'never' } as const;

/** @returns undefined where none is set */
export function describeOptions(service: Service): readonly string[] | undefined {
  const { tmpfs, logging, ulimits, sysctls, labels } = service;
  const lines: readonly (string | false | undefined)[] = [
    say('is restarted', service.restartPolicy && RESTARTS[service.restartPolicy]),
    say('pull policy', service.imagePullPolicy),
    service.privileged === true && 'privileged',
    service.readOnly === true && 'read-only root file system',
    service.init === true && 'with an init',
    service.tty === true && 'with a terminal',
    say('runs as', service.user),
    say('runs in', service.workingDir),
    say('calls itself', service.hostname),
    say('is also called', listed(service.aliases)),
    say('stops on', service.stopSignal),
    service.stopGracePeriod !== undefined && `is given ${service.stopGracePeriod} to stop`,
    say('adds capabilities', listed(service.capAdd)),
    say('drops capabilities', listed(service.capDrop)),
    say('knows hosts', listed(service.extraHosts)),
    say('tmpfs at', listed(tmpfs?.map(({ mountPath, size }) => (size === undefined ? mountPath : `${mountPath} (${size})`)))),
    say('/dev/shm of', service.shmSize),
    say('log of', logging && `${logging.maxFiles ?? 3} files of ${logging.maxSize ?? '10M'}`),
    say('ulimits', listed(ulimits && Object.entries(ulimits).map(([name, limit]) => `${name}=${showLimit(limit)}`))),
    say('sysctls', listed(sysctls && Object.entries(sysctls).map(([name, value]) => `${name}=${value}`))),
    say('labels', listed(labels && Object.entries(labels).map(([name, value]) => `${name}=${value}`))),
  ];
  const set = lines.filter((line) => typeof line === 'string');
  return set.length === 0 ? undefined : set;
}

function say(what: string, value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : `${what} ${value}`;
}

function listed(values: readonly string[] | undefined): string | undefined {
  return values === undefined || values.length === 0 ? undefined : values.join(', ');
}

function showLimit(limit: NonNullable<Service['ulimits']>[string]): string {
  return typeof limit === 'object' ? `${limit.soft}:${limit.hard}` : String(limit);
}
