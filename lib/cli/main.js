'use strict';

const COMMANDS = require('./commands.js');
const { EXIT, toJson, usageError, writeError } = require('./errors.js');

/** What people type for commands that have another name, or are another program's. */
const OTHER_WORDS = {
  start: 'To start a program: rs-cluster run PROGRAM',
  ls: 'To list the workers: rs-cluster status',
  list: 'To list the workers: rs-cluster status',
  ps: 'To list the workers: rs-cluster status',
  monit: 'To watch the workers: rs-cluster status --watch',
  top: 'To watch the workers: rs-cluster status --watch',
  kill: 'To stop the primary and its workers: rs-cluster stop',
  delete: 'To stop the primary and its workers: rs-cluster stop',
  startup: 'To print a unit of systemd: rs-cluster systemd PROGRAM',
  logs: 'The workers and the log write to the standard output and error of rs-cluster run',
};

/**
 * Runs a command line, and sets the exit code of this process.
 *
 * @param {string[]} args what follows the name of the program
 */
async function main(args) {
  try {
    process.exitCode = (await dispatch(args)) ?? process.exitCode;
  } catch (error) {
    process.exitCode = report(error, args);
  }
}

async function dispatch(args) {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-v' || first === '-V') {
    return print(`${require('../addon/release.js').version}\n`);
  }
  if (first === undefined || first === '--help' || first === '-h') {
    print(require('./help.js').overview());
    return first === undefined ? EXIT.usage : EXIT.done;
  }
  const command = find(first);
  const { values, positionals, raw } = require('./parse.js').parse(command, rest);
  if (values.help) return print(require('./help.js').ofCommand(command));
  if (!command.isServer) endWithOutput();
  return command.run(values, positionals, raw);
}

function find(name) {
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]();
  const help = "See 'rs-cluster help'";
  if (name.startsWith('-')) {
    throw usageError(
      `there is no option ${name} before a command`,
      `Options follow the command. ${help}`,
    );
  }
  if (/\.[cm]?[jt]s$/.test(name)) {
    throw usageError(`there is no command ${name}`, `To run it: rs-cluster run ${name}`);
  }
  const { didYouMean } = require('./suggest.js');
  const hint = OTHER_WORDS[name] ?? didYouMean(name, Object.keys(COMMANDS)) ?? help;
  throw usageError(`there is no command ${name}`, hint);
}

function print(text) {
  process.stdout.write(text);
  return EXIT.done;
}

/** What reads the output may end before it has read everything: `rs-cluster status | head -1`. */
function endWithOutput() {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code }) => {
      if (code === 'EPIPE') process.exit();
      if (stream === process.stdout) writeError(`the output can't be written: ${code}`);
      process.exit(EXIT.failed);
    });
  }
}

/** Prints an error; returns the exit code. */
function report(error, args) {
  const { exitCode = EXIT.failed, hint, message } = error ?? {};
  // `--json` belongs to the commands that know it. After the program of `run` it is the program's.
  if (args.includes('--json') && args[0] !== 'run' && args[0] !== 'systemd') {
    print(`${JSON.stringify(toJson(error))}\n`);
    return exitCode;
  }
  // An error that no line of ours explains is a fault of this package: its stack tells where.
  const isKnown = error?.exitCode !== undefined || error?.code !== undefined;
  writeError(isKnown ? message : (error?.stack ?? `${error}`), hint);
  return exitCode;
}

module.exports = main;
