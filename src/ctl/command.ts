/** Commands as data: what `program.ts` makes a parser and help of, and what tests can look at. */
import type { AuthClient } from '../client/auth-client.ts';
import type { CaraClient } from '../client/cara-client.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { durationToMs } from '../api/duration.ts';
import { parseSelector } from '../api/selector.ts';
import { UsageError } from './ctl-error.ts';
import type { Io } from './io.ts';
import type { Target } from './target/target.ts';

export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** One option of a command. Its long form is its key in kebab case. */
export interface OptionSpec<Value> {
  readonly short?: string;
  /** absent: a flag, with --no-… and --…=true|false */
  readonly placeholder?: string;
  readonly help: string;
  readonly default: Value;
  /** may be given more than once; `read` gets what was read before */
  readonly read?: (text: string, previous: Value) => Value;
}

/** An option whose value's type is forgotten. */
export interface AnyOptionSpec extends Omit<OptionSpec<unknown>, 'read'> {
  readonly read?: (text: string, previous: never) => unknown;
}

/** Option key -> option. */
export type OptionSpecs = Readonly<Record<string, AnyOptionSpec>>;
export type ValuesOf<Specs> = { readonly [Key in keyof Specs]: Specs[Key] extends OptionSpec<infer Value> ? Value : never };

export interface CommandContext {
  readonly io: Io;
  readonly clock: Clock;
  readonly random: Random;
  /** undefined: not said, so the command's own default */
  readonly output: OutputFormat | undefined;
  /** The API at the server that flags, environment and contexts name. @throws {CtlError} when that cannot be told */
  readonly connect: () => Promise<CaraClient>;
  /** Tokens and the like, at that server or at `target`. @throws as `connect` */
  readonly connectAuth: (target?: Target) => Promise<AuthClient & Pick<Target, 'serverUrl' | 'caFingerprint'>>;
  /** Where the config file is, or would be. @throws {CtlError} */
  readonly configPath: () => string;
  /** --context */
  readonly contextName: string | undefined;
  readonly signal: AbortSignal;
}

export interface Command<Specs> {
  readonly name: string;
  /** one line, for the list of commands */
  readonly summary: string;
  /** arguments as usage text, such as "TYPE [NAME...]"; "" takes none */
  readonly args: string;
  /** the hint where an option is unknown that may have been meant for what follows -- */
  readonly rest?: string;
  readonly options: Specs;
  readonly examples: readonly { readonly command: string; readonly does: string }[];
  /** @returns the exit code */
  run(context: CommandContext, args: readonly string[], options: ValuesOf<Specs>): Promise<number>;
}

/** A command whose options' types are forgotten: `run` gets what the parser made of them. */
export interface AnyCommand extends Omit<Command<OptionSpecs>, 'run'> {
  run(context: CommandContext, args: readonly string[], options: Readonly<Record<string, unknown>>): Promise<number>;
}

/** Checks a command's types and forgets them: its options are its own business. */
export function defineCommand<Specs extends OptionSpecs>(command: Command<Specs>): AnyCommand {
  // The parser gives `run` exactly the values that `options` describes; a type for a list of commands cannot say so.
  return command as unknown as AnyCommand;
}

export function flag(help: string, extra: { readonly short?: string; readonly default?: boolean } = {}): OptionSpec<boolean> {
  return { help, default: false, ...extra };
}

export function text(placeholder: string, help: string, short?: string): OptionSpec<string | undefined> {
  return { placeholder, help, default: undefined, read: (value) => value, ...(short !== undefined && { short }) };
}

/** A label selector, `-l`. */
export function selector(help: string): OptionSpec<string | undefined> {
  return {
    placeholder: 'selector',
    help,
    default: undefined,
    short: 'l',
    read: (value) => {
      try {
        parseSelector(value);
      } catch (error) {
        throw new UsageError((error as Error).message, { cause: error });
      }
      return value;
    },
  };
}

/** May be given several times. */
export function list(placeholder: string, help: string, short?: string): OptionSpec<readonly string[]> {
  return {
    placeholder,
    help: `${help}; repeatable`,
    default: [],
    read: (value, previous) => [...previous, value],
    ...(short !== undefined && { short }),
  };
}

/** A duration in milliseconds; the default as users write it. */
export function duration(help: string, initial: string): OptionSpec<number> {
  return {
    placeholder: 'duration',
    help: `${help} [${initial}]`,
    default: durationToMs(initial),
    read: (value) => {
      try {
        return durationToMs(value);
      } catch (error) {
        throw new UsageError(
          `Cannot use the duration ${JSON.stringify(value)} as it must have a unit, such as 300ms, 90s, 3m, 2h or 1h30m`,
          { cause: error },
        );
      }
    },
  };
}
