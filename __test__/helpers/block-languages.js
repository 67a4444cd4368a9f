'use strict';

// How blocks of the documentation run, by their language.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { ROOT } = require('./documents');
const { execPath } = require('./implementation');

const TSC = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');

/** The command that runs a block, by its language; the block becomes the named file. */
const LANGUAGES = {
  js: { name: 'app.js', command: (file) => [execPath, file] },
  mjs: { name: 'app.mjs', command: (file) => [execPath, file] },
  ts: { name: 'app.ts', command: (file) => ['sh', '-e', '-c', compileAndRun(file)] },
  sh: { name: 'commands.sh', command: (_file, script) => ['sh', '-e', '-c', soleCommand(script)] },
  ini: { name: 'app.service', command: (_file, unit) => ['sh', '-e', '-c', startOf(unit)] },
};

function compileAndRun(file) {
  const options = '--strict --module node16 --target es2022 --types node';
  return `'${process.execPath}' '${TSC}' ${options} ${file}\nexec node ${file.replace(/\.ts$/, '.js')}`;
}

/** A single command replaces the shell, and so gets the signals. */
function soleCommand(script) {
  const commands = script
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => /^[^#\s]/.test(line));
  return commands.length === 1 ? `exec env ${commands[0]}` : script;
}

/** The command that systemd would start. */
function startOf(unit) {
  const [, command] = /^ExecStart=(.*)$/m.exec(unit);
  const variables = [...unit.matchAll(/^Environment=(.*)$/gm)].map(([, variable]) => variable);
  return `exec env ${variables.join(' ')} ${command}`;
}

/** The errors that systemd, if it is installed, finds in a unit. */
function complaintsAbout(unit) {
  const { stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
  return (stderr ?? '').split('\n').filter((line) => line.includes(path.basename(unit)));
}

module.exports = { LANGUAGES, complaintsAbout };
