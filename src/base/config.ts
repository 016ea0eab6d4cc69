/**
 * Configuration from flags, then environment variables, then a YAML file, then defaults; pure, and refused with one line that
 * names the key, the value and the form it wants.
 *
 * A key is `HEARTBEAT_INTERVAL` in the environment, `--heartbeat-interval` as a flag, `heartbeatInterval` in the file.
 */

/** Reads one setting's text. @throws {RangeError} whose message completes "must be ..." */
export interface Reader<Value> {
  (text: string): Value;
  /** Writes a value in the form that a user would; left out: the value says it by itself. */
  show?(value: Value): string;
}

export interface Setting<Value> {
  readonly read: Reader<Value>;
  /** as text, in the form a user would write; undefined: no default, the value stays undefined */
  readonly default: string | undefined;
  /** given: there must be a value, and without one this says why; it completes "as ..." */
  readonly whenMissing?: string;
  /** one sentence: what it is, with its unit */
  readonly help: string;
  readonly isSecret?: boolean;
  /** a flag without a value that stands for this setting with that one: `approve` is --approve */
  readonly shorthand?: { readonly flag: string; readonly value: string };
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;
export type ValuesOf<S extends Settings> = {
  readonly [Key in keyof S]: S[Key] extends Setting<infer Value> ? Value : never;
};

/** A bad flag, variable or file entry; its message is for the user, whole. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface ConfigSources {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** parsed content of the file named by --config, with its path for messages */
  readonly file?: { readonly path: string; readonly values: unknown };
}

/** Reads every setting. Unknown flags and file entries are refused. @throws {ConfigError} */
export function loadConfig<S extends Settings>(settings: S, sources: ConfigSources): ValuesOf<S> {
  const flags = readFlags(settings, sources.argv);
  const file = readFile(settings, sources.file);
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(settings)) {
    const candidates = [
      { origin: `--${toFlag(key)}`, text: flags.get(key) },
      { origin: key, text: sources.env[key] === '' ? undefined : sources.env[key] },
      { origin: `${toCamel(key)} in ${sources.file?.path ?? 'the configuration file'}`, text: file.get(key) },
      { origin: `the default of ${key}`, text: setting.default },
    ];
    const chosen = candidates.find(({ text }) => text !== undefined);
    if (chosen === undefined && setting.whenMissing !== undefined) {
      throw new ConfigError(`Cannot do without ${key} as ${setting.whenMissing}`);
    }
    values[key] = chosen?.text === undefined ? undefined : readValue(setting, chosen.origin, chosen.text);
  }
  return Object.freeze(values) as ValuesOf<S>;
}

function readValue(setting: Setting<unknown>, origin: string, text: string): unknown {
  try {
    return setting.read(text);
  } catch (error) {
    if (!(error instanceof RangeError)) {
      throw error;
    }
    const shown = setting.isSecret === true ? '(hidden)' : JSON.stringify(text);
    throw new ConfigError(`Cannot use ${origin} as it must be ${error.message}: current value is ${shown}`, { cause: error });
  }
}

function readFlags(settings: Settings, argv: readonly string[]): ReadonlyMap<string, string> {
  const keys = new Map(Object.keys(settings).map((key) => [toFlag(key), key]));
  const shorthands = new Map(
    Object.entries(settings).flatMap(([key, { shorthand }]) => (shorthand === undefined ? [] : [[shorthand.flag, { ...shorthand, key }]])),
  );
  const flags = new Map<string, string>();
  for (let index = 0; index < argv.length; index += 1) {
    const [, name, inline] = /^--([a-z0-9-]+)(?:=(.*))?$/su.exec(argv[index] ?? '') ?? [];
    const short = shorthands.get(name ?? '');
    if (short !== undefined && inline === undefined) {
      flags.set(short.key, short.value);
      continue;
    }
    if (short !== undefined) {
      throw new ConfigError(`Cannot use --${name} with a value as it takes none: for others there is --${toFlag(short.key)}`);
    }
    const key = keys.get(name ?? '');
    if (key === undefined) {
      throw new ConfigError(`Cannot use argument ${JSON.stringify(argv[index])} as it is no flag of this program: see --help`);
    }
    const value = inline ?? argv[(index += 1)];
    if (value === undefined) {
      throw new ConfigError(`Cannot use --${name} as it needs a value: see --help`);
    }
    flags.set(key, value);
  }
  return flags;
}

function readFile(settings: Settings, file: ConfigSources['file']): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  if (file === undefined || file.values === null || file.values === undefined) {
    return values;
  }
  if (typeof file.values !== 'object' || Array.isArray(file.values)) {
    throw new ConfigError(`Cannot use ${file.path} as it must be a YAML map of settings`);
  }
  const keys = new Map(
    Object.keys(settings).flatMap((key) => [
      [toCamel(key), key],
      [key, key],
    ]),
  );
  for (const [name, value] of Object.entries(file.values)) {
    const key = keys.get(name);
    if (key === undefined) {
      throw new ConfigError(
        `Cannot use ${JSON.stringify(name)} in ${file.path} as it is no setting: known are ${Object.keys(settings).map(toCamel).join(', ')}`,
      );
    }
    values.set(key, String(value));
  }
  return values;
}

/** The file that `--config FILE` or CONFIG names, and the arguments without that flag. */
export function takeConfigPath(
  argv: readonly string[],
  env: ConfigSources['env'],
): { readonly path: string | undefined; readonly argv: readonly string[] } {
  const index = argv.findIndex((argument) => argument === '--config' || argument.startsWith('--config='));
  if (index === -1) {
    return { path: env['CONFIG'], argv };
  }
  const inline = argv[index]?.split('=', 2)[1];
  const path = inline ?? argv[index + 1];
  if (path === undefined || path === '') {
    throw new ConfigError('Cannot use --config as it needs a file: for example --config /etc/caravanserai/server.yaml');
  }
  return { path, argv: argv.toSpliced(index, inline === undefined ? 2 : 1) };
}

/** The effective values for a log line or --print-config: in the form a user would write, secrets hidden. */
export function redactConfig(settings: Settings, values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, showValue(settings[key], value)]));
}

function showValue(setting: Setting<unknown> | undefined, value: unknown): unknown {
  if (value === undefined) {
    return undefined;
  }
  return setting?.isSecret === true ? '(hidden)' : (setting?.read.show?.(value) ?? value);
}

/** The flags among `argv` that give a secret. */
export function listSecretFlags(settings: Settings, argv: readonly string[]): readonly { readonly flag: string; readonly key: string }[] {
  return Object.entries(settings)
    .filter(([, { isSecret }]) => isSecret === true)
    .map(([key]) => ({ key, flag: `--${toFlag(key)}` }))
    .filter(({ flag }) => argv.some((word) => word === flag || word.startsWith(`${flag}=`)));
}

/** The settings as lines for --help. */
export function describeSettings(settings: Settings): string {
  return Object.entries(settings)
    .map(([key, { help, default: fallback, shorthand }]) => {
      const short = shorthand === undefined ? '' : `, --${shorthand.flag} for ${shorthand.value}`;
      return `  --${toFlag(key)} (${key})${short}\n      ${help}${fallback === undefined ? '' : ` [${fallback}]`}`;
    })
    .join('\n');
}

function toFlag(key: string): string {
  return key.toLowerCase().replaceAll('_', '-');
}

function toCamel(key: string): string {
  return key.toLowerCase().replaceAll(/_([a-z0-9])/gu, (_, letter: string) => letter.toUpperCase());
}

export function text(text: string): string {
  return text;
}

export function oneOf<const Values extends readonly string[]>(values: Values): (text: string) => Values[number] {
  return (text) => {
    const found = values.find((value) => value === text);
    if (found === undefined) {
      throw new RangeError(`one of ${values.join(', ')}`);
    }
    return found;
  };
}

export function trueOrFalse(text: string): boolean {
  if (text !== 'true' && text !== 'false') {
    throw new RangeError('true or false');
  }
  return text === 'true';
}

export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[0-9]+$/u.test(text) || value < minimum || value > maximum) {
      throw new RangeError(`a whole number from ${minimum} to ${maximum}`);
    }
    return value;
  };
}
