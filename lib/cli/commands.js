'use strict';

// All commands, in the order of the help. A command is loaded when it is needed, because one of them starts
// the engine, and the others are to be quick.

const COMMANDS = {
  run: () => require('./commands/run.js'),
  check: () => require('./commands/check.js'),
  status: () => require('./commands/status.js'),
  reload: () => require('./commands/reload.js'),
  upgrade: () => require('./commands/upgrade.js'),
  scale: () => require('./commands/scale.js'),
  restart: () => require('./commands/restart.js'),
  hold: () => require('./commands/hold.js'),
  release: () => require('./commands/release.js'),
  stop: () => require('./commands/stop.js'),
  systemd: () => require('./commands/systemd.js'),
  completion: () => require('./commands/completion.js'),
  help: () => require('./commands/help.js'),
};

module.exports = COMMANDS;
