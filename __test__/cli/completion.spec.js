'use strict';

const { spawnSync } = require('node:child_process');
const { symlinkSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { BIN, runCli } = require('../helpers/cli');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const COMMANDS = require('../../lib/cli/commands');
const { optionsOf } = require('../../lib/cli/parse');

const WITHIN = 60_000;
/** What is to be completed, and what has to be among the results, or is all of them. */
const CASES = [
  { line: 'rs-cluster re', all: ['release', 'reload', 'restart'] },
  { line: 'rs-cluster run --po', all: ['--policy'] },
  { line: 'rs-cluster run --policy r', all: ['reuse-port', 'round-robin'] },
  { line: 'rs-cluster completion ', all: ['bash', 'fish', 'zsh'] },
  { line: 'rs-cluster run ap', all: ['app.js'] },
  { line: 'rs-cluster reload --t', all: ['--timeout'] },
];

function has(shell) {
  return spawnSync(shell, ['-c', 'true']).status === 0;
}

async function scriptOf(t, shell) {
  const { code, stdout, stderr } = await runCli(t, ['completion', shell]);
  t.deepEqual([code, stderr], [0, '']);
  const cwd = temporaryDirectory(t);
  const file = path.join(cwd, 'completion');
  writeFileSync(file, stdout);
  writeFileSync(path.join(cwd, 'app.js'), '');
  symlinkSync(BIN, path.join(cwd, 'rs-cluster'));
  const env = { PATH: `${cwd}:${process.env.PATH}`, HOME: cwd, TERM: 'xterm' };
  return { stdout, file, options: { cwd, env, encoding: 'utf8', timeout: WITHIN } };
}

/** What bash completes a line to. The function alone is called, so `compopt` is not there. */
const IN_BASH = `
compopt() { :; }
source "$1"
COMP_WORDS=($2)
[[ "$2" == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_rs_cluster
printf '%s\\n' "\${COMPREPLY[@]}"
`;

if (!isBuiltin) {
  for (const shell of ['bash', 'zsh', 'fish']) {
    test(`the completion for ${shell} has every command and option`, async (t) => {
      const { stdout } = await scriptOf(t, shell);
      for (const name of Object.keys(COMMANDS)) {
        t.true(stdout.includes(name), name);
        for (const option of optionsOf(COMMANDS[name]())) {
          t.true(
            stdout.includes(shell === 'fish' ? `-l ${option.name} ` : `--${option.name}`),
            option.name,
          );
        }
      }
    });

    if (has(shell)) {
      test(`${shell} accepts its completion`, async (t) => {
        const { file, options } = await scriptOf(t, shell);
        const { status, stderr } = spawnSync(shell, ['-n', file], options);
        t.deepEqual([status, stderr], [0, '']);
      });
    }
  }

  for (const { line, all } of CASES) {
    if (has('bash')) {
      test(`bash completes "${line}"`, async (t) => {
        const { file, options } = await scriptOf(t, 'bash');
        const args = ['-c', IN_BASH, 'bash', file, line];
        const { stdout, stderr } = spawnSync('bash', args, options);
        t.is(stderr, '');
        t.deepEqual(stdout.trim().split('\n').sort(), all);
      });
    }

    if (has('fish')) {
      test(`fish completes "${line}"`, async (t) => {
        const { file, options } = await scriptOf(t, 'fish');
        const args = ['--no-config', '-c', `source '${file}'; complete -C '${line}'`];
        const { stdout, stderr } = spawnSync('fish', args, options);
        t.is(stderr, '');
        const found = stdout
          .trim()
          .split('\n')
          .map((it) => it.split('\t')[0]);
        t.deepEqual(found.sort(), all);
      });
    }
  }
}
