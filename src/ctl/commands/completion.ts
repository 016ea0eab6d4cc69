/** caractrl completion: what a shell needs to complete verbs, options and names. */
import { OUTPUT_FORMATS, defineCommand, type AnyCommand } from '../command.ts';
import { UsageError } from '../ctl-error.ts';
import { typesFor } from '../resource-type.ts';

/** Options of every verb; those that take a value are skipped with it when the verb is looked for. */
const GLOBAL_VALUES = ['--server', '--ca-fingerprint', '--output', '-o', '--context', '--config'];
const GLOBALS = [...GLOBAL_VALUES, '--no-color', '--help'];

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'Print what makes bash complete verbs, options, types and names',
  args: 'bash',
  options: {},
  examples: [
    { command: 'source <(caractrl completion bash)', does: 'for this shell; in ~/.bashrc for each' },
    { command: 'autoload -U +X bashcompinit && bashcompinit && source <(caractrl completion bash)', does: 'in zsh' },
  ],
  run: async ({ io }, [shell, ...others]) => {
    if (shell !== 'bash' || others.length > 0) {
      const given = shell === undefined ? 'no shell is given' : `there is none for ${JSON.stringify([shell, ...others].join(' '))}`;
      throw new UsageError(`Cannot print a completion as ${given}: there is one for bash, which zsh can read too`, {
        hint: 'caractrl completion --help',
      });
    }
    const { loadCommands } = await import('../commands.ts');
    io.stdout.write(renderBash(await loadCommands()));
    return 0;
  },
});

/** Functions for bash 3.2 and later. They ask the server for names alone, for two seconds at most where there is a timeout(1). */
function renderBash(commands: readonly AnyCommand[]): string {
  const cases = commands.map(
    (command) =>
      `    ${command.name}) options='${optionsOf(command)}'; words='${wordsOf(command)}'; names='${namesOf(command)}'; types='${typesFor(command.name).join(' ')}' ;;`,
  );
  return `# caractrl completion; source it
_caractrl_names() {
  local ask=
  if command -v timeout >/dev/null 2>&1; then ask='timeout 2'; fi
  $ask "\${_caractrl_run[@]}" get "$1" -o name 2>/dev/null | sed 's|^[a-z]*/||'
}
_caractrl() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} verb= type= options= words= names= types= word i
  local _caractrl_run=("\${COMP_WORDS[0]}")
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${GLOBAL_VALUES.filter((name) => name !== '--output' && name !== '-o').join('|')}) _caractrl_run+=("$word" "\${COMP_WORDS[i+1]}"); i=$((i + 1)) ;;
      --output|-o) i=$((i + 1)) ;;
      -*) ;;
      *) if [ -z "$verb" ]; then verb=$word; elif [ -z "$type" ]; then type=$word; fi ;;
    esac
  done
  case $before in
    -o|--output) COMPREPLY=($(compgen -W '${OUTPUT_FORMATS.join(' ')}' -- "$current")); return ;;
    -f|--filename|--from-file|--config) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case $verb in
    '') options=; words='${commands.map(({ name }) => name).join(' ')} help' ;;
${cases.join('\n')}
    help) words='${commands.map(({ name }) => name).join(' ')}' ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options ${GLOBALS.join(' ')}" -- "$current"))
    return
  fi
  if [ -n "$type" ] && [ -n "$words" ]; then words=; fi
  if [ "$names" = TYPE ]; then
    if [ -z "$type" ]; then words=$types; else words=$(_caractrl_names "$type"); fi
  elif [ -n "$names" ] && [ -z "$words" ]; then
    words=$(_caractrl_names "$names")
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _caractrl caractrl
`;
}

function optionsOf({ options }: AnyCommand): string {
  return Object.entries(options)
    .flatMap(([key, { short }]) => [
      `--${key.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`,
      ...(short === undefined ? [] : [`-${short}`]),
    ])
    .join(' ');
}

/** What is typed as it stands in the usage: actions, such as status|history, and types. */
function wordsOf({ args }: AnyCommand): string {
  return namesOf({ args }) === 'TYPE'
    ? ''
    : [...args.matchAll(/(?<![A-Za-z[/.-])[a-z][a-z-]+(?![A-Za-z])/gu)].map(([word]) => word).join(' ');
}

/** Which names come in the usage: TYPE where one goes before. */
function namesOf({ args }: Pick<AnyCommand, 'args'>): 'TYPE' | 'nodes' | 'projects' | '' {
  return args.includes('TYPE') ? 'TYPE' : args.includes('PROJECT') ? 'projects' : args.includes('NODE') ? 'nodes' : '';
}
