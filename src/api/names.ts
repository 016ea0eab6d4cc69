/**
 * The grammars of names, keys and values, each with the words that tell a person what would be right.
 *
 * Source   RFC 1123 labels and subdomains; Kubernetes' rules for label keys and values.
 */

/** A string grammar: `pattern` is anchored and linear-time; `expects` completes the sentence "must be ...". */
export interface Grammar {
  readonly pattern: string;
  readonly expects: string;
  readonly maxLength?: number;
}

const LABEL = '[a-z0-9]([a-z0-9-]*[a-z0-9])?';

/** Names of Nodes and Projects. */
export const DNS_SUBDOMAIN = {
  pattern: `^${LABEL}(\\.${LABEL})*$`,
  expects:
    'a DNS subdomain: lower-case letters, digits, "-" and ".", starting and ending with a letter or digit, at most 253 characters (for example worker-01)',
  maxLength: 253,
} as const satisfies Grammar;

/** Names of services and volumes: they become host names and parts of Docker's names. */
export const DNS_LABEL = {
  pattern: `^${LABEL}$`,
  expects:
    'a DNS label: lower-case letters, digits and "-", starting and ending with a letter or digit, at most 63 characters (for example web)',
  maxLength: 63,
} as const satisfies Grammar;

const QUALIFIED = '[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?';

export const LABEL_KEY = {
  // the lookaheads bound both parts: a map's keys have no maxLength
  pattern: `^((?=[^/]{1,253}/)${LABEL}(\\.${LABEL})*/)?(?=[^/]{1,63}$)${QUALIFIED}$`,
  expects:
    'a label key: up to 63 letters, digits, "-", "_" and ".", optionally after a DNS subdomain and "/" (for example caravanserai.io/zone)',
  maxLength: 317, // 253 of the prefix, the slash, 63 of the name
} as const satisfies Grammar;

export const LABEL_VALUE = {
  pattern: `^(${QUALIFIED})?$`,
  expects: 'a label value: empty, or up to 63 letters, digits, "-", "_" and ".", starting and ending with a letter or digit',
  maxLength: 63,
} as const satisfies Grammar;

export const ENV_NAME = {
  pattern: '^[A-Za-z_][A-Za-z0-9_.-]*$',
  expects: 'an environment variable name: letters, digits, "_", "-" and ".", not starting with a digit',
  maxLength: 1024,
} as const satisfies Grammar;

/** Keys of a Secret's values: they become file names and, where they are legal as such, names of variables. */
export const SECRET_KEY = {
  pattern: '^(?!\\.{1,2}$)(?!__proto__$)[A-Za-z0-9._-]{1,253}$', // the length is in it, as a map's keys have no maxLength
  expects: 'a key of a Secret: letters, digits, "-", "_" and ".", at most 253 (for example db-password)',
  maxLength: 253,
} as const satisfies Grammar;

export const BASE64 = {
  pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
  expects: 'base64 without line breaks (plain text goes into stringData)',
} as const satisfies Grammar;

export const ABSOLUTE_PATH = {
  pattern: '^/[^\\u0000]*$',
  expects: 'an absolute path, starting with "/"',
  maxLength: 4096,
} as const satisfies Grammar;

export const IMAGE_REFERENCE = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:/@-]*$',
  expects: 'an image reference such as postgres:17 or registry.example/team/app@sha256:…',
  maxLength: 512,
} as const satisfies Grammar;

/** Tells whether `text` follows `grammar`, its length included. */
export function matches(grammar: Grammar, text: string): boolean {
  return text.length <= (grammar.maxLength ?? Infinity) && new RegExp(grammar.pattern, 'u').test(text);
}

/** Makes a legal node name of an OS host name: lower case, illegal characters become "-". Returns "node" if nothing is left. */
export function toNodeName(hostname: string): string {
  const name = hostname
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/gu, '-')
    .slice(0, DNS_SUBDOMAIN.maxLength)
    .split('.')
    .map((label) => label.replaceAll(/^-+|-+$/gu, ''))
    .filter((label) => label !== '')
    .join('.');
  return name === '' ? 'node' : name;
}
