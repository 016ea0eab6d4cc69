/**
 * The kernel's capabilities, and which of them an operator has to allow; pure. Callers: service-options.ts, the agent.
 *
 * Ours to allow are those that reach no further than the container: Docker's own default set, and a few that the kernel counts by
 * network namespace, memory limit or CPU share. Each of the others is a known way to the host, or to its other containers.
 *
 * Source   capabilities(7); moby `oci/caps/defaults.go`.
 */

const CONFINED = [
  // Docker gives these to every container; added by name after dropping ALL
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
  // of the container's own network namespace, memory and scheduling
  'IPC_LOCK',
  'IPC_OWNER',
  'LEASE',
  'NET_ADMIN',
  'NET_BROADCAST',
  'SYS_NICE',
] as const;

const UNCONFINED = [
  'AUDIT_CONTROL',
  'AUDIT_READ',
  'BLOCK_SUSPEND',
  'BPF',
  'CHECKPOINT_RESTORE',
  'DAC_READ_SEARCH',
  'LINUX_IMMUTABLE',
  'MAC_ADMIN',
  'MAC_OVERRIDE',
  'PERFMON',
  'SYSLOG',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_MODULE',
  'SYS_PACCT',
  'SYS_PTRACE',
  'SYS_RAWIO',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'WAKE_ALARM',
] as const;

export const CAPABILITY = {
  pattern: `^(ALL|(CAP_)?(${[...CONFINED, ...UNCONFINED].join('|')}))$`,
  expects: 'ALL or a Linux capability in capitals, such as NET_ADMIN (capabilities(7) lists them)',
} as const;

/** What a service asks for that is as good as root on the node, as it would be written: `privileged: true`, `capAdd: [SYS_ADMIN]`. */
export function listPrivileges({
  privileged,
  capAdd = [],
}: {
  readonly privileged?: boolean;
  readonly capAdd?: readonly string[];
}): readonly string[] {
  const confined: readonly string[] = CONFINED;
  const unconfined = capAdd.filter((capability) => !confined.includes(capability.replace(/^CAP_/u, '')));
  return [...(privileged === true ? ['privileged: true'] : []), ...(unconfined.length > 0 ? [`capAdd: [${unconfined.join(', ')}]`] : [])];
}
