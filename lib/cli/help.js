'use strict';

// The help, made of the tables of commands and options.

const COMMANDS = require('./commands.js');
const { optionsOf } = require('./parse.js');

const GROUPS = [
  ['Run a program', ['run', 'check', 'systemd']],
  [
    'Speak to a running primary',
    ['status', 'reload', 'upgrade', 'scale', 'restart', 'hold', 'release', 'stop'],
  ],
  ['Others', ['completion', 'help']],
];
const EXIT_CODES = [
  ['0', 'done; run: after a stop, also with connections cut off'],
  ['1', 'failed: the operation, the program in every slot; or there is no primary'],
  ['2', 'wrong usage: an unknown command or option, a bad value, several primaries'],
  ['signal', 'run: SIGQUIT, or a second SIGINT, ends the primary by that signal'],
];

function overview() {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const groups = GROUPS.map(([title, names]) => {
    const lines = names.map((name) => `  ${name.padEnd(width)}  ${COMMANDS[name]().summary}`);
    return [`${title}:`, ...lines].join('\n');
  });
  return `Usage: rs-cluster COMMAND [options]

Runs a Node program in supervised workers that share its ports.

${groups.join('\n')}

'rs-cluster COMMAND --help' lists the options of a command, 'rs-cluster help
exit-codes' the exit codes; 'rs-cluster --version' prints the version.
`;
}

function ofCommand(command) {
  const { name, usage = '', summary, description, examples = [] } = command;
  const parts = [
    `Usage: rs-cluster ${name} ${usage}`.trim(),
    description ?? `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    optionLines(command),
  ];
  if (examples.length > 0) parts.push(['Examples:', ...examples.map((it) => `  ${it}`)].join('\n'));
  const gap = command.isDense ? '\n' : '\n\n';
  return `${parts.join(gap)}\n`;
}

function optionLines(command) {
  const help = optionsOf(command).at(-1);
  const own = (command.options ?? []).filter(({ shownBy }) => shownBy === undefined);
  const all = command.isDense ? own : [...own, help];
  const width = Math.max(...all.map((it) => (it.name ? left(it).length : 0)));
  const lines = all.map((it) =>
    it.group ? `${it.group}:` : `  ${left(it).padEnd(width)}  ${it.help}`,
  );
  return (lines[0].endsWith(':') ? lines : ['Options:', ...lines]).join('\n');
}

function left({ name, short, value, shown }) {
  if (shown !== undefined) return shown;
  return `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`;
}

function exitCodes() {
  const lines = EXIT_CODES.map(([code, meaning]) => `  ${code.padEnd(6)}  ${meaning}`);
  return `Exit codes:\n${lines.join('\n')}\n`;
}

module.exports = { EXIT_CODES, exitCodes, ofCommand, overview };
