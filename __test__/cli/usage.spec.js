'use strict';

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { freshUser, runCli } = require('../helpers/cli');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const COMMANDS = require('../../lib/cli/commands');

const ROWS = 24;
const COLUMNS = 80;
/** `run` has more options than a screen has lines. */
const MOST_LINES = { run: 40 };

/** Wrong command lines, with the exit code and the line that says so. */
const WRONG = [
  [['rn', 'x.js'], 2, /^there is no command rn\. Did you mean run\?$/],
  [['server.js'], 2, /^there is no command server\.js\. To run it: rs-cluster run server\.js$/],
  [['start', 'x.js'], 2, /^there is no command start\. .*rs-cluster run PROGRAM$/],
  [['--name', 'web', 'status'], 2, /^there is no option --name before a command\. Options follow/],
  [['run'], 2, /^run needs a PROGRAM\. Usage: rs-cluster run /],
  [
    ['run', '--worker', '2', 'x.js'],
    2,
    /^there is no option --worker of run\. Did you mean --workers\?$/,
  ],
  [['run', '--watch', 'x.js'], 2, /^there is no option --watch of run\. .*node --watch$/],
  [['run', '-i', 'max', 'x.js'], 2, /^there is no option -i of run\. .*--workers$/],
  [['run', '-w'], 2, /^-w needs a value|^--workers needs a value/],
  [['run', '--prefix=1', 'x.js'], 2, /^--prefix takes no value/],
  [['run', '-w', 'many', 'x.js'], 2, /^--workers takes a number or 'auto', not 'many'$/],
  [['run', '--log', 'xml', 'x.js'], 2, /^--log takes text, json or none, not 'xml'$/],
  [
    ['run', '--drain-timeout', '3 weeks', 'x.js'],
    2,
    /^--drain-timeout takes milliseconds, or a time such as/,
  ],
  [['run', '--max-restarts', '5/x', 'x.js'], 2, /^--max-restarts takes milliseconds, or a time/],
  [['run', '--only', 'web', 'x.js'], 2, /^--only needs --config FILE$/],
  [['run', '--node-args', "--title 'x", 'x.js'], 2, /^--node-args has a quote that does not end/],
  [['run', '--config', 'missing.js'], 2, /^missing\.js: there is no such file/],
  [['run', 'missing.js'], 1, /^there is no program missing\.js\. Looked for \/.*\/missing\.js$/],
  [['run', 'empty'], 1, /^empty is a directory without a program\. Name a file of it/],
  [['run', 'syntax.js'], 1, /^\/.*\/syntax\.js:2: SyntaxError: /],
  [['run', 'syntax.mjs'], 1, /^\/.*\/syntax\.mjs:1: SyntaxError: /],
  [['run', '-w', '0', 'good.js'], 2, /^--workers must be from 1 to 4096\. Received 0$/],
  [
    ['run', '-w', '1', '--max-surge', '0', 'good.js'],
    2,
    /^--workers must be more than 1 with --max-surge 0\. Received 1$/,
  ],
  [
    ['run', '--max-memory', '5Q', 'good.js'],
    2,
    /^--max-memory must be a number of bytes, or a size/,
  ],
  [['run', '--name', 'a b', 'good.js'], 2, /^--name must be 1 to 64 letters/],
  [['status', 'web'], 2, /^status does not take 'web'\. Usage: rs-cluster status/],
  [['status', '--timeout', 'x'], 2, /^--timeout takes seconds, or a time/],
  [['run', '--cwd', 'missing', 'good.js'], 2, /^--cwd missing is not a directory/],
  [['scale'], 2, /^scale needs more: N\. Usage: rs-cluster scale N/],
  [['scale', '0'], 2, /^scale takes a number, \+1, -1 or auto, not '0'$/],
  [['restart', 'all'], 2, /^restart takes a slot, not 'all'\. .*rs-cluster reload$/],
  [['completion', 'powershell'], 2, /^completion is for bash, zsh or fish, not 'powershell'$/],
  [['help', 'reloads'], 2, /^there is no command reloads\. Did you mean reload\?$/],
  [['status'], 1, /^no primary runs\. /],
  [['reload', '--name', 'web'], 1, /^no primary called web runs\. /],
];

function inDirectory(t) {
  const cwd = temporaryDirectory(t);
  mkdirSync(path.join(cwd, 'empty'));
  const put = (name, text) => writeFileSync(path.join(cwd, name), text);
  put('good.js', "throw new Error('must not run');\n");
  put('syntax.js', "'use strict';\nconst = 1;\n");
  put('syntax.mjs', "import 'node:fs'; const = 1;\n");
  return { spawn: { cwd }, env: freshUser(t) };
}

if (!isBuiltin) {
  for (const [args, code, pattern] of WRONG) {
    test(`rs-cluster ${args.join(' ')}: one line, and exit code ${code}`, async (t) => {
      const result = await runCli(t, args, inDirectory(t));
      t.true([code].flat().includes(result.code), `${result.code} ${result.stderr}`);
      t.is(result.stdout, '');
      t.regex(result.stderr, /^rs-cluster: .*\n$/);
      t.regex(result.stderr.slice('rs-cluster: '.length, -1), pattern);
    });
  }

  test('with --json an error is JSON on stdout', async (t) => {
    const { code, stdout, stderr } = await runCli(t, ['status', '--json'], inDirectory(t));
    t.is(code, 1);
    t.is(stderr, '');
    const { error } = JSON.parse(stdout);
    t.is(error.code, 'ERR_RS_CLUSTER_NO_PRIMARY');
    t.is(error.message, 'no primary runs');
  });

  for (const name of Object.keys(COMMANDS)) {
    test(`the help of ${name} fits a screen`, async (t) => {
      const { code, stdout, stderr } = await runCli(t, [name, '--help'], inDirectory(t));
      t.deepEqual([code, stderr], [0, '']);
      const lines = stdout.trimEnd().split('\n');
      t.true(lines[0].startsWith(`Usage: rs-cluster ${name}`));
      t.deepEqual(
        lines.filter((line) => line.length > COLUMNS),
        [],
      );
      t.true(lines.length <= (MOST_LINES[name] ?? ROWS - 1), `${lines.length} lines`);
      t.is((await runCli(t, ['help', name], inDirectory(t))).stdout, stdout);
    });
  }

  test('the overview fits a screen, and lists all commands', async (t) => {
    const { code, stdout } = await runCli(t, ['--help'], inDirectory(t));
    t.is(code, 0);
    const lines = stdout.trimEnd().split('\n');
    t.true(lines.length < ROWS);
    t.deepEqual(
      lines.filter((line) => line.length > COLUMNS),
      [],
    );
    for (const name of Object.keys(COMMANDS)) t.regex(stdout, new RegExp(`^  ${name} `, 'm'));
    const bare = await runCli(t, [], inDirectory(t));
    t.deepEqual([bare.code, bare.stdout], [2, stdout]);
  });

  test('--version prints the version, and help exit-codes the exit codes', async (t) => {
    const { version } = require('../../package.json');
    t.is((await runCli(t, ['--version'])).stdout, `${version}\n`);
    t.regex((await runCli(t, ['help', 'exit-codes'])).stdout, /^ {2}2 +wrong usage/m);
  });

  test('commands that speak to a primary load no addon', async (t) => {
    const options = { ...inDirectory(t), nodeArgs: ['--no-addons'] };
    const { stderr } = await runCli(t, ['status'], options);
    t.regex(stderr, /^rs-cluster: no primary runs/);
    const refused = await runCli(t, ['run', 'good.js'], options);
    t.is(refused.code, 1);
    t.regex(refused.stderr, /^rs-cluster: Node refuses to load rs-cluster's addon.*\n$/);
  });

  test('what reads the output may end before it has read everything', async (t) => {
    const { code, stderr } = await runCli(t, ['run', '--help'], {
      launcher: ['sh', '-c', '"$@" | head -n 1', 'sh'],
    });
    t.deepEqual([code, stderr], [0, '']);
  });

  test('output to a full disk: one line, and exit code 1', async (t) => {
    const { code, stderr } = await runCli(t, ['completion', 'bash'], {
      launcher: ['sh', '-c', '"$@" > /dev/full', 'sh'],
    });
    t.deepEqual([code, stderr], [1, "rs-cluster: the output can't be written: ENOSPC\n"]);
  });
}
