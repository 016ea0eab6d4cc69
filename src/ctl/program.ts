/**
 * Makes a parser and help of the commands, and tells what was typed. Nothing runs here.
 *
 * Callers  main.ts.
 */
import { Command as Parser, CommanderError, InvalidArgumentError, Option } from 'commander';
import { OUTPUT_FORMATS, type AnyCommand, type AnyOptionSpec, type OutputFormat } from './command.ts';
import { UsageError } from './ctl-error.ts';
import { hintForOption, hintForVerb } from './other-verbs.ts';
import { describeTypes } from './resource-type.ts';

/** What is the same for all commands. */
export interface GlobalOptions {
  readonly server?: string;
  readonly context?: string;
  readonly caFingerprint?: string;
  readonly output?: OutputFormat;
  readonly config?: string;
  readonly color: boolean;
}

export interface ParsedCommand {
  readonly command: AnyCommand;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

export interface Parsed {
  /** there as far as they were understood, also when `outcome` is a failure */
  readonly globals: GlobalOptions;
  readonly outcome:
    | { readonly kind: 'command'; readonly parsed: ParsedCommand }
    /** help was asked for */
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'misuse'; readonly error: UsageError };
}

export interface ParseOptions {
  readonly columns: number;
  readonly hasColor: boolean;
}

const SUMMARY = `caractrl talks to a Caravanserai control plane: what runs where, and what should.

Resource types: ${describeTypes()}; TYPE/NAME works too.`;

const FOOTER = `
Exit codes: 0 done, 1 refused or failed, 2 wrong usage. Results go to stdout, everything else to stderr.

Examples:
  caractrl get nodes                         list the machines
  caractrl apply -f shop.yaml --wait         create or change a Project and wait until it runs
  caractrl describe project shop             everything about one Project
  caractrl --output json get nodes worker-01 one Node, whole
  caractrl delete project shop               remove a Project and wait until it is gone`;

/** Reads the arguments after the program's name. */
export function parseArguments(commands: readonly AnyCommand[], argv: readonly string[], { columns, hasColor }: ParseOptions): Parsed {
  // what follows -- is nobody's option: commander would give it to the command without saying so
  const end = argv.indexOf('--');
  const words = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end + 1);
  const chosen: ParsedCommand[] = [];
  let text = '';
  const root = new Parser('caractrl')
    .description(SUMMARY)
    .usage('[options] COMMAND')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (written) => {
        text += written;
      },
      writeErr: () => undefined, // main.ts prints the error
      getOutHelpWidth: () => Math.max(60, columns),
      getOutHasColors: () => hasColor,
    })
    .helpCommand('help [COMMAND]', 'Show the help of a command')
    .helpOption('-h, --help', 'Show this help')
    .addHelpText('after', FOOTER);
  addGlobals(root);
  for (const command of commands) {
    addCommand(root, command, (parsed) => chosen.push(parsed));
  }
  try {
    root.parse(expandFlags(words.length === 0 ? ['--help'] : words), { from: 'user' });
  } catch (error) {
    const globals = root.opts<GlobalOptions>();
    if (error instanceof UsageError) {
      return { globals, outcome: { kind: 'misuse', error } };
    }
    if (!(error instanceof CommanderError)) {
      throw error;
    }
    return {
      globals,
      outcome: error.exitCode === 0 ? { kind: 'text', text } : { kind: 'misuse', error: toUsageError(error, argv, commands) },
    };
  }
  const globals = root.opts<GlobalOptions>();
  const [parsed] = chosen;
  if (parsed === undefined) {
    return { globals, outcome: { kind: 'misuse', error: new UsageError('No command is given', { hint: 'caractrl --help' }) } };
  }
  const { command, args } = parsed;
  if (rest.length > 0 && command.args === '') {
    const error = new UsageError(`Cannot use ${rest.join(' ')} as ${command.name} takes no arguments`, {
      hint: `caractrl ${command.name} --help`,
    });
    return { globals, outcome: { kind: 'misuse', error } };
  }
  return { globals, outcome: { kind: 'command', parsed: { ...parsed, args: [...args, ...rest] } } };
}

function addGlobals(root: Parser): void {
  root
    .addOption(
      new Option('--server <url>', 'the server, or several apart by commas (CARA_SERVER, or the current context) [http://127.0.0.1:8080]'),
    )
    .addOption(
      new Option(
        '--ca-fingerprint <sha256>',
        "of the authority that the server's certificate comes from (CARA_CA_FINGERPRINT, or the context)",
      ),
    )
    .addOption(new Option('-o, --output <format>', `how to print results: ${OUTPUT_FORMATS.join('|')}`).argParser(readFormat))
    .addOption(new Option('--context <name>', 'a server by its name in the config file; caractrl login adds one'))
    .addOption(new Option('--config <file>', 'contexts [$XDG_CONFIG_HOME/caravanserai/config.yaml]'))
    .addOption(new Option('--no-color', 'no colours (NO_COLOR)'));
}

function readFormat(word: string): OutputFormat {
  const found = OUTPUT_FORMATS.find((format) => format === word);
  if (found === undefined) {
    throw new UsageError(
      `Cannot use --output ${JSON.stringify(word)} as it must be one of ${OUTPUT_FORMATS.join(', ')}`,
      /^(?:jsonpath|custom-columns|go-template)/u.test(word)
        ? { hint: "take what you need out of -o json, as in: caractrl get nodes -o json | jq '.items[].status.state'" }
        : {},
    );
  }
  return found;
}

function addCommand(root: Parser, command: AnyCommand, onChosen: (parsed: ParsedCommand) => void): void {
  const examples = command.examples.map(({ command: typed, does }) => `  # ${does}\n  ${typed}`).join('\n\n');
  const parser = root
    .command(command.name)
    .description(command.summary)
    .usage(`${command.args === '' ? '' : `${command.args} `}[options]`)
    .allowExcessArguments(command.args !== '')
    .helpOption('-h, --help', 'Show this help')
    .addHelpText('after', `\nExamples:\n${examples}`);
  for (const [key, spec] of Object.entries(command.options)) {
    addOption(parser, key, spec);
  }
  parser.action(() => onChosen({ command, args: parser.args, options: parser.opts() }));
}

function addOption(parser: Parser, key: string, spec: AnyOptionSpec): void {
  const long = key.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
  const short = spec.short === undefined ? '' : `-${spec.short}, `;
  const { placeholder, read } = spec;
  if (placeholder === undefined || read === undefined) {
    parser.addOption(new Option(`${short}--${long}`, spec.help + (spec.default === true ? ' [true]' : '')));
    parser.addOption(new Option(`--no-${long}`, `or --${long}=false: do not`).hideHelp(spec.default !== true));
    parser.setOptionValue(key, spec.default);
    return;
  }
  const option = new Option(`${short}--${long} <${placeholder}>`, spec.help).argParser((text, previous) => read(text, previous as never));
  parser.addOption(option);
  parser.setOptionValue(key, spec.default);
}

/** What to type for what is known from other tools. */
function insteadOf(code: string, message: string, commands: readonly AnyCommand[]): string | undefined {
  const quoted = /'([^']*)'/u.exec(message)?.[1] ?? '';
  switch (code) {
    case 'commander.excessArguments':
      return hintForFiles(message, commands);
    case 'commander.unknownCommand':
      return hintForVerb(quoted);
    case 'commander.unknownOption':
      return hintForOption(quoted);
    default:
      return undefined;
  }
}

/** `apply shop.yaml`: the name of a file without its -f. */
function hintForFiles(message: string, commands: readonly AnyCommand[]): string | undefined {
  const [, verb = '', rest = ''] = /for '([^']*)'\. .*?: (.*)\.$/u.exec(message) ?? [];
  const takesFiles = commands.find(({ name }) => name === verb)?.options['filename'] !== undefined;
  return takesFiles && rest !== ''
    ? `name files with -f: caractrl ${verb} ${rest
        .split(', ')
        .map((file) => `-f ${file}`)
        .join(' ')}`
    : undefined;
}

/** `--wait=false` as `--no-wait`, `--wait=true` as `--wait`; commander knows only the latter. `--dry-run=client` is kubectl's for `--dry-run`. */
function expandFlags(argv: readonly string[]): readonly string[] {
  return argv.map((arg) => {
    if (arg === '--dry-run=client') {
      return '--dry-run';
    }
    const [, name, value] = /^--([a-z-]+)=(true|false)$/u.exec(arg) ?? [];
    return name === undefined ? arg : `--${value === 'true' ? '' : 'no-'}${name}`;
  });
}

function toUsageError(error: CommanderError, argv: readonly string[], commands: readonly AnyCommand[]): UsageError {
  if (error instanceof InvalidArgumentError || error.code === 'commander.help') {
    return new UsageError('No command is given', { hint: 'caractrl --help' });
  }
  const [first = '', second = ''] = error.message.replace(/^error: /u, '').split('\n');
  const suggestion = /Did you mean (?:one of )?([^?]+)\?/u.exec(second)?.[1];
  const verb = argv.find((arg) => commands.some(({ name }) => name === arg));
  const rest =
    error.code === 'commander.unknownOption' && !argv.includes('--') ? commands.find(({ name }) => name === verb)?.rest : undefined;
  return new UsageError(`${first.charAt(0).toUpperCase()}${first.slice(1)}`, {
    hint:
      rest ??
      insteadOf(error.code, first, commands) ??
      (suggestion === undefined ? `caractrl ${verb === undefined ? '' : `${verb} `}--help` : `did you mean ${suggestion}?`),
  });
}
