/**
 * Habits: what people write who come from Compose or Kubernetes, and how it is written here. Pure.
 *
 * Never    accepts anything: it only finds better words for what was refused.
 * Callers  manifest.ts
 */
import { valueAt } from '../decode.ts';
import type { FieldError } from '../errors.ts';
import { toNodeName } from '../names.ts';

const NOTHING_OF_THE_NODE = 'leave it out: services share nothing of the kind with their node';
const ALL_ADDRESSES = 'open on all addresses of the node';

/** Field of a service elsewhere -> what does that here. */
const SERVICE_WORDS: Readonly<Record<string, string>> = {
  args: "write command, which comes after the image's entrypoint",
  build: 'images are not built here: build it, and give its name as image',
  cap_add: 'write capAdd',
  cap_drop: 'write capDrop',
  configs: 'write files: [{ mountPath: /etc/app.conf, content: … }]',
  container_name: 'leave it out: name is what other services call it by',
  cpus: 'write resources: { limits: { cpu: 500m } }',
  deploy: 'write resources and restartPolicy of the service',
  devices: 'write privileged: true, which the node has to allow with ALLOW_PRIVILEGED=true',
  dns: 'leave it out: services ask the name servers of their node',
  env_file: 'write env, or envFrom: [{ secretRef: { name: … } }] for all values of a Secret',
  environment: 'write env: [{ name: MODE, value: production }]',
  expose: 'leave it out: services of a Project reach each other at every port',
  extends: 'write its fields here',
  gpus: 'leave it out: services cannot be given GPUs',
  hostNetwork: 'leave it out: a port with a hostPort is reached from outside',
  ipc: NOTHING_OF_THE_NODE,
  links: 'leave it out: services of a Project reach each other by name',
  livenessProbe: 'write healthCheck',
  mem_limit: 'write resources: { limits: { memory: 512Mi } }',
  mem_reservation: 'write resources: { requests: { memory: 256Mi } }',
  network_mode: 'leave it out: services of a Project share one network',
  networks: 'leave it out: services of a Project share one network',
  pid: NOTHING_OF_THE_NODE,
  platform: 'write nodeSelector under spec, with a label that such nodes have',
  profiles: 'leave it out: write another Project, in another file',
  pull_policy: 'write imagePullPolicy',
  readinessProbe: 'write healthCheck',
  replicas: 'leave it out: a service is one container',
  restart: 'write restartPolicy: Always, OnFailure or Never',
  runtime: 'leave it out: the engine has one',
  scale: 'leave it out: a service is one container',
  secrets: 'write env: [{ name: …, valueFrom: { secretKeyRef: { name: …, key: … } } }], or files with a secretKeyRef',
  securityContext: 'write user, capAdd, capDrop, readOnly or privileged',
  security_opt: 'leave it out: user, capDrop and readOnly limit a service',
  startupProbe: 'write healthCheck with a startPeriod',
  stdin_open: 'leave it out: caractrl exec -it reaches a service that runs',
  terminationGracePeriodSeconds: 'write stopGracePeriod: 30s',
  volumes: 'write volumeMounts: [{ name: data, mountPath: /data }], and the volume under spec.volumes',
  volumes_from: 'write volumeMounts of the same volumes',
};

/** The same for what stands right under spec. */
const SPEC_WORDS: Readonly<Record<string, string>> = {
  configs: 'write files of the service that reads it',
  containers: 'write services',
  initContainers: 'write services with restartPolicy: Never, and dependsOn with condition: Completed',
  networks: 'leave it out: services of a Project share one network',
  replicas: 'leave it out: a Project runs once',
  restartPolicy: 'write it for each service',
  secrets: 'make them with "caractrl create secret", and name them in env or files of a service',
  template: 'write services right under spec',
};

/** The same for the document: a Compose file has the spec there. */
const DOCUMENT_WORDS: Readonly<Record<string, string>> = {
  networks: 'leave it out: services of a Project share one network',
  services: 'write it under spec',
  version: 'write apiVersion',
  volumes: 'write it under spec',
};

const PORT_WORDS: Readonly<Record<string, string>> = {
  host_ip: `leave it out: a hostPort is ${ALL_ADDRESSES}`,
  hostIP: `leave it out: a hostPort is ${ALL_ADDRESSES}`,
  mode: 'leave it out',
  port: 'write containerPort',
  published: 'write hostPort',
  target: 'write containerPort',
};

const HEALTH_WORDS: Readonly<Record<string, string>> = {
  disable: 'write test: [NONE]',
  exec: 'write test: [CMD, …]',
  failureThreshold: 'write retries',
  initialDelaySeconds: 'write startPeriod: 10s',
  periodSeconds: 'write interval: 10s',
  timeoutSeconds: 'write timeout: 3s',
};

const LOGGING = 'write maxSize: 10Mi and maxFiles: 3; caractrl logs reads them';

/** Where a field stands -> what it may be called elsewhere. */
const WORDS: readonly (readonly [parent: RegExp, words: Readonly<Record<string, string>>])[] = [
  [/^\/spec\/services\/\d+$/u, SERVICE_WORDS],
  [/^\/spec\/services\/\d+\/ports\/\d+$/u, PORT_WORDS],
  [/^\/spec\/services\/\d+\/volumeMounts\/\d+$/u, { source: 'write name', target: 'write mountPath' }],
  [/^\/spec\/services\/\d+\/healthCheck$/u, HEALTH_WORDS],
  [/^\/spec\/services\/\d+\/resources$/u, { reservations: 'write requests' }],
  [/^\/spec\/services\/\d+\/logging$/u, { driver: LOGGING, options: LOGGING }],
  [/^\/spec$/u, SPEC_WORDS],
  [/^$/u, DOCUMENT_WORDS],
];

/** How a short form, or a map where a list is meant, is written here; undefined: it looks like nothing that is known. */
type Rewrite = (value: unknown) => string | undefined;

const FORMS: readonly (readonly [pointer: RegExp, rewrite: Rewrite])[] = [
  [/^\/spec\/services\/\d+\/ports\/\d+$/u, rewritePort],
  [/^\/spec\/services\/\d+\/ports\/\d+\/(?:host|container)Port$/u, rewriteNumber],
  [/^\/spec\/services\/\d+\/restartPolicy$/u, rewriteRestart],
  [/^\/spec\/services\/\d+\/tmpfs$/u, (value) => (isShort(value) ? `[{ mountPath: ${quote(value)} }]` : undefined)],
  [/^\/spec\/services\/\d+\/tmpfs\/\d+$/u, (value) => (isShort(value) ? `{ mountPath: ${quote(value)} }` : undefined)],
  [/^(?:\/spec\/services\/\d+\/(?:labels|sysctls)|\/metadata\/(?:labels|annotations)|\/spec\/nodeSelector)$/u, rewritePairs],
  [/^\/spec\/services\/\d+\/env\/\d+$/u, rewriteVariable],
  [/^\/spec\/services\/\d+\/env$/u, (value) => listOfFirst(value, (name, text) => `{ name: ${name}, value: ${quote(text)} }`)],
  [/^\/spec\/services\/\d+\/volumeMounts\/\d+$/u, rewriteMount],
  [/^\/spec\/services\/\d+\/dependsOn\/\d+$/u, (value) => (isShort(value) ? `{ service: ${value} }` : undefined)],
  [/^\/spec\/services\/\d+\/dependsOn$/u, (value) => listOfFirst(value, (name, rest) => `{ service: ${name}${conditionOf(rest)} }`)],
  [/^\/spec\/services\/\d+\/(?:command|entrypoint)$/u, rewriteCommand],
  [/^\/spec\/services\/\d+\/healthCheck\/test$/u, (value) => (isShort(value) ? `[CMD-SHELL, ${quote(value)}]` : undefined)],
  [/^\/spec\/services$/u, (value) => listOfFirst(value, (name) => `{ name: ${name}, image: … }`)],
  [/^\/spec\/volumes$/u, (value) => listOfFirst(value, (name) => `{ name: ${name} }`)],
  [/^\/spec\/volumes\/\d+$/u, (value) => (isShort(value) ? `{ name: ${value} }` : undefined)],
];

/** How a refusal begins -> how such a thing is written in other units or letters. */
const GRAMMARS: readonly (readonly [start: string, rewrite: Rewrite])[] = [
  ['must be a duration ', rewriteDuration],
  ['must be a quantity', rewriteQuantity],
  ['must be a DNS label', rewriteName],
];

/** Longer than anything that is read back as a suggestion. */
const MAX_SHOWN = 120;
const MAX_WRITTEN = 200;

/** The error in words that say how the thing is written here, where one of the habits shows in it; else as it is. */
export function explainHabit(error: FieldError, input: unknown): FieldError {
  const { pointer, detail } = error;
  if (detail.startsWith('is an unknown field')) {
    const slash = pointer.lastIndexOf('/');
    const words = WORDS.find(([parent]) => parent.test(pointer.slice(0, slash)))?.[1];
    const name = pointer.slice(slash + 1);
    return words !== undefined && Object.hasOwn(words, name) ? { pointer, detail: `is an unknown field: ${words[name]}` } : error;
  }
  const rewrite = GRAMMARS.find(([start]) => detail.startsWith(start))?.[1] ?? FORMS.find(([place]) => place.test(pointer))?.[1];
  const written = detail.startsWith('must be ') ? rewrite?.(valueAt(input, pointer)) : undefined;
  return written === undefined || written.length > MAX_WRITTEN ? error : { pointer, detail: `${detail}; write ${written}` };
}

/** `80:80`, `127.0.0.1:8080:80/udp`, `80` */
function rewritePort(value: unknown): string | undefined {
  const text = shortText(value);
  const [, ofRange] = /^(?:[\d.]{7,15}:)?(?:(\d{1,5})-\d{1,5}:)?\d{1,5}-\d{1,5}(?:\/(?:tcp|udp))?$/iu.exec(text) ?? [undefined, false];
  if (ofRange !== false) {
    return 'each port of the range by itself, as in { containerPort: 80, hostPort: 8080 }';
  }
  const { address, host, container, protocol } =
    /^(?:(?<address>[\d.]{7,15}):)?(?:(?<host>\d{1,5}):)?(?<container>\d{1,5})(?:\/(?<protocol>tcp|udp))?$/iu.exec(text)?.groups ?? {};
  if (container === undefined || !isPort(container) || !isPort(host ?? container)) {
    return undefined;
  }
  const isUdp = protocol?.toUpperCase() === 'UDP';
  const written = `{ containerPort: ${container}${host === undefined ? '' : `, hostPort: ${host}`}${isUdp ? ', protocol: UDP' : ''} }`;
  // who names an address means that one alone, and must not learn of the others from a stranger
  return address === undefined || address === '0.0.0.0' ? written : `${written}, which is ${ALL_ADDRESSES}`;
}

/** `"8080"` */
function rewriteNumber(value: unknown): string | undefined {
  return isShort(value) && isPort(value) ? String(Number(value)) : undefined;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/u.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

/** Compose's words -> ours. */
const RESTARTS: Readonly<Record<string, string>> = {
  always: 'Always',
  any: 'Always',
  no: 'Never',
  none: 'Never',
  never: 'Never',
  'on-failure': 'OnFailure',
  onfailure: 'OnFailure',
  'unless-stopped': 'Always',
};

/** `unless-stopped`, `on-failure:3` */
function rewriteRestart(value: unknown): string | undefined {
  const [word = ''] = value === false ? ['no'] : shortText(value).toLowerCase().split(':', 1);
  return Object.hasOwn(RESTARTS, word) ? RESTARTS[word] : undefined;
}

/** `[a=b]` for what is a map */
function rewritePairs(value: unknown): string | undefined {
  const [first, ...others] = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const { name, text } = /^(?<name>[\w./-]+)=(?<text>.*)$/su.exec(shortText(first))?.groups ?? {};
  return name === undefined ? undefined : `{ ${name}: ${quote(text)}${others.length > 0 ? ', …' : ''} }`;
}

/** `MODE=production` */
function rewriteVariable(value: unknown): string | undefined {
  const { name, text } = /^(?<name>[A-Za-z_][\w.-]*)(?:=(?<text>.*))?$/su.exec(shortText(value))?.groups ?? {};
  return name === undefined ? undefined : `{ name: ${name}, value: ${text === undefined ? '…' : quote(text)} }`;
}

/** `data:/var/lib/data:ro`, `./conf:/etc/conf` */
function rewriteMount(value: unknown): string | undefined {
  const { source, target, mode } = /^(?<source>[^:]+):(?<target>\/[^:]*)(?::(?<mode>[a-zA-Z,]+))?$/u.exec(shortText(value))?.groups ?? {};
  if (source === undefined || target === undefined) {
    return undefined;
  }
  const readOnly = mode?.split(',').includes('ro') === true ? ', readOnly: true' : '';
  return /^[./~]/u.test(source) // a path on the node, which has no folder that it is relative to
    ? `{ name: files, mountPath: ${target}${readOnly} }, and under spec.volumes { name: files, type: HostPath, path: ${source.replace(/^[.~]+/u, '/…')} }`
    : `{ name: ${source}, mountPath: ${target}${readOnly} }`;
}

/** `npm start`; what a shell would have to read is given to one. */
function rewriteCommand(value: unknown): string | undefined {
  if (!isShort(value)) {
    return undefined;
  }
  const words = value.trim().split(/\s+/u);
  return words.every((word) => /^[\w./:=@%+-]+$/u.test(word)) ? `[${words.map(quote).join(', ')}]` : `[sh, -c, ${quote(value)}]`;
}

/** `{ condition: service_healthy }` of Compose. */
function conditionOf(value: unknown): string {
  const condition = typeof value === 'object' && value !== null && 'condition' in value ? value.condition : undefined;
  switch (condition) {
    case 'service_healthy':
      return ', condition: Healthy';
    case 'service_completed_successfully':
      return ', condition: Completed';
    default:
      return '';
  }
}

function listOfFirst(value: unknown, write: (name: string, rest: unknown) => string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return undefined;
  }
  const [first, ...others] = Object.entries(value);
  return first === undefined ? undefined : `[${write(...first)}${others.length > 0 ? ', …' : ''}]`;
}

function isShort(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_SHOWN;
}

function shortText(value: unknown): string {
  return isShort(value) ? value : typeof value === 'number' ? String(value) : '';
}

/** As YAML reads it as text: plain where it can be nothing else. */
function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  const isPlain = /^[A-Za-z/][\w./:@%+-]*$/u.test(text) && !/^(?:true|false|yes|no|on|off|null|y|n)$/iu.test(text) && !text.endsWith(':');
  return isPlain ? text : JSON.stringify(text);
}

/** `10`, `5 seconds`, `7d` */
function rewriteDuration(value: unknown): string | undefined {
  const { amount, unit = 's' } = /^(?<amount>\d{1,6}) ?(?<unit>[a-z]*)$/iu.exec(shortText(value))?.groups ?? {};
  const letter = /^(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|)$|^[smhdw]$/iu.test(unit)
    ? unit.toLowerCase().charAt(0) || 's'
    : undefined;
  if (amount === undefined || letter === undefined) {
    return undefined;
  }
  const hours = { d: 24, w: 168 }[letter];
  return hours === undefined ? `${amount}${letter}` : `${Number(amount) * hours}h`;
}

/** `512MB`, `4gb`, which other tools count in steps of 1024 */
function rewriteQuantity(value: unknown): string | undefined {
  const { amount, unit } = /^(?<amount>\d{1,9}(?:\.\d{1,3})?) ?(?<unit>[kmgt])i?b?$/iu.exec(shortText(value))?.groups ?? {};
  return amount === undefined || unit === undefined ? undefined : `${amount}${unit.toUpperCase()}i`;
}

/** `My_App` */
function rewriteName(value: unknown): string | undefined {
  const name = toNodeName(shortText(value).replaceAll('.', '-'));
  return shortText(value) === '' || name.length > 63 ? undefined : name;
}
