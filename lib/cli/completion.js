'use strict';

// Scripts that complete command lines, made of the tables of commands and options.

const COMMANDS = require('./commands.js');
const { optionsOf } = require('./parse.js');

const SHELLS = { bash, zsh, fish };
/** What completes the names of files in zsh. */
const ZSH_FILES = ['', 'files'].join('_');

/** Every command with its options, and the words that may follow it. */
function commands() {
  return Object.keys(COMMANDS).map((name) => {
    const command = COMMANDS[name]();
    return { ...command, options: optionsOf(command), words: command.words ?? [] };
  });
}

function flagsOf({ name, short }) {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}

function bash() {
  const all = commands();
  const options = all.map(
    (it) => `    ${it.name}) words='${it.options.flatMap(flagsOf).join(' ')}' ;;`,
  );
  const values = valueCases(all, ({ is, words }) => {
    if (words) return `COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current"))`;
    if (is === 'directory') return 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$current"))';
    return is === 'file' ? FILES : 'COMPREPLY=()';
  });
  const others = all.map(({ name, words, isProgramLast }) => {
    if (isProgramLast) return `    ${name}) ${FILES} ;;`;
    return `    ${name}) COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current")) ;;`;
  });
  const names = all.map(({ name }) => name).join(' ');
  return `# bash completion for rs-cluster; to use it: source <(rs-cluster completion bash)
_rs_cluster() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="\${COMP_WORDS[1]}" words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${names} --help --version' -- "$current"))
    return
  fi
  case "$command $previous" in
${values.join('\n')}
  esac
  if [[ "$current" == -* ]]; then
    case "$command" in
${indent(options).join('\n')}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$command" in
${others.join('\n')}
  esac
}
complete -F _rs_cluster rs-cluster
`;
}

const FILES = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$current"))';

/** A case for each set of options whose value is completed in one way. */
function valueCases(all, actionOf) {
  const cases = new Map();
  for (const { name, options } of all) {
    for (const option of options.filter(({ boolean }) => !boolean)) {
      const action = actionOf(option);
      const patterns = flagsOf(option).map((flag) => `'${name} ${flag}'`);
      cases.set(action, [...(cases.get(action) ?? []), ...patterns]);
    }
  }
  return [...cases].map(([action, patterns]) => `    ${patterns.join('|')}) ${action}; return ;;`);
}

function indent(lines) {
  return lines.map((line) => `  ${line}`);
}

function zsh() {
  const all = commands();
  const described = all.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = all.map((command) => {
    const specs = command.options.flatMap(zshSpecs);
    return `    ${command.name}) _arguments ${[...specs, zshRest(command)].filter(Boolean).join(' ')} ;;`;
  });
  return `#compdef rs-cluster
# zsh completion for rs-cluster; to use it: source <(rs-cluster completion zsh)
_rs_cluster() {
  local -a commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT -= 1 ))
  case "$command" in
${cases.join('\n')}
  esac
}
compdef _rs_cluster rs-cluster
`;
}

/** What _arguments takes for an option: '--name[help]:value:action'. */
function zshSpecs({ name, short, boolean, multiple, value, words, is, help }) {
  const text = help.replace(/[[\]:\\]/g, '\\$&');
  const action = words
    ? `(${words.join(' ')})`
    : { file: ZSH_FILES, directory: `${ZSH_FILES} -/` }[is];
  const rest = boolean ? '' : `:${value.replace(/[[\]:|/]/g, ' ')}:${action ?? ' '}`;
  const repeat = multiple ? '*' : '';
  return flagsOf({ name, short }).map((flag) => quoted(`${repeat}${flag}[${text}]${rest}`));
}

function zshRest({ isProgramLast, words }) {
  if (isProgramLast) return quoted(`*:program:${ZSH_FILES}`);
  return words.length > 0 ? quoted(`1:value:(${words.join(' ')})`) : undefined;
}

function fish() {
  const lines = commands().flatMap((command) => {
    const { name, summary, words, options, isProgramLast } = command;
    const seen = `'__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c rs-cluster -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
      ...(isProgramLast ? [] : [`complete -c rs-cluster -n ${seen} -f`]),
      ...(words.length > 0
        ? [`complete -c rs-cluster -n ${seen} -f -a ${quoted(words.join(' '))}`]
        : []),
      ...options.map((option) => `complete -c rs-cluster -n ${seen} ${fishOption(option)}`),
    ];
  });
  return `# fish completion for rs-cluster; to use it: rs-cluster completion fish | source\n${lines.join('\n')}\n`;
}

function fishOption({ name, short, boolean, words, is, help }) {
  const values = words ? `-x -a ${quoted(words.join(' '))}` : is === undefined ? '-x' : '-r -F';
  return [`-l ${name}`, short && `-s ${short}`, !boolean && values, `-d ${quoted(help)}`]
    .filter(Boolean)
    .join(' ');
}

/** In single quotes, as all shells take them. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

module.exports = SHELLS;
