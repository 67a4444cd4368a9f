'use strict';

const COMMANDS = require('../commands.js');
const { EXIT, usageError } = require('../errors.js');
const { didYouMean } = require('../suggest.js');

module.exports = {
  name: 'help',
  summary: 'print the help of a command, or the exit codes',
  usage: '[COMMAND|exit-codes]',
  positionals: [0, 1],
  words: [...Object.keys(COMMANDS), 'exit-codes'],
  run(_values, [topic]) {
    const help = require('../help.js');
    if (topic === undefined) process.stdout.write(help.overview());
    else if (topic === 'exit-codes') process.stdout.write(help.exitCodes());
    else if (Object.hasOwn(COMMANDS, topic))
      process.stdout.write(help.ofCommand(COMMANDS[topic]()));
    else {
      throw usageError(
        `there is no command ${topic}`,
        didYouMean(topic, Object.keys(COMMANDS)) ?? "See 'rs-cluster help'",
      );
    }
    return EXIT.done;
  },
};
