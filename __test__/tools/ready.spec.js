'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { temporaryDirectory } = require('../helpers/temporary.js');
const { STEPS } = require('../../scripts/ready.js');

const ROOT = path.join(__dirname, '..', '..');
const PROGRAM = `
  const { runCommand } = require('${path.join(ROOT, 'tools', 'command.js')}');
  const { runSteps } = require('${path.join(ROOT, 'tools', 'steps.js')}');
  runCommand(() => runSteps(eval(process.argv[1])).then(() => 0));`;

/** A step that runs this code. */
function step(code, ...runners) {
  return `{ command: ['${process.execPath}', '-e', ${JSON.stringify(code)}], runners: [${runners}] }`;
}

function run(...steps) {
  const args = ['-e', PROGRAM, `[${steps}]`];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

const RUNNER = `{ name: 'runner', line: /^(\\d+) passed/ }`;
const TWICE = `{ name: 'runner', line: /^(\\d+) passed/, times: 2 }`;

test('the output of all steps is shown, then the closing lines of their runners', (t) => {
  const { status, stdout, stderr } = run(
    step(`console.log('working'); console.log('3 passed')`, RUNNER),
    step(`console.error('warning')`),
    // Colors do not hide a line, and a line of stderr is one too.
    step(`console.error('\\u001b[32m4 passed\\u001b[39m')`, RUNNER),
  );
  t.is(status, 0, stderr);
  t.is(stdout, 'working\n3 passed\n\n3 passed\n4 passed\n');
  t.is(stderr, 'warning\n\u001b[32m4 passed\u001b[39m\n');
});

test('a step that fails ends the run, and is named', (t) => {
  const file = path.join(temporaryDirectory(t), 'later');
  const { status, stdout, stderr } = run(
    step(`console.log('3 passed')`, RUNNER),
    step(`console.log('5 passed, 1 failed'); process.exit(7)`, RUNNER),
    step(`fs.writeFileSync('${file}', '')`),
  );
  t.is(status, 1);
  t.regex(stdout, /\n\n3 passed\n5 passed, 1 failed\n$/);
  t.regex(stderr, /^.*5 passed, 1 failed.*: exit code 7$/m);
  t.false(existsSync(file));
});

test('a step that a signal ends fails', (t) => {
  const { status, stderr } = run(step(`process.kill(process.pid, 'SIGKILL')`));
  t.is(status, 1);
  t.regex(stderr, /: SIGKILL$/m);
});

test('a step that cannot be started fails', (t) => {
  const { status, stderr } = run(`{ command: ['./no such program'] }`);
  t.is(status, 1);
  t.regex(stderr, /^\.\/no such program: .*ENOENT$/m);
});

for (const [what, code] of Object.entries({
  'prints no closing line': `console.log('all is well')`,
  'has tested nothing': `console.log('0 passed')`,
})) {
  test(`a step whose runner ${what} fails`, (t) => {
    const { status, stderr } = run(step(code, RUNNER));
    t.is(status, 1);
    t.regex(stderr, /: runner should report 1 times .*, and did 0 times$/m);
  });
}

test('a step whose runner runs less often than it should fails', (t) => {
  const { status, stderr } = run(step(`console.log('3 passed\\n0 passed')`, TWICE));
  t.is(status, 1);
  t.regex(stderr, /: runner should report 2 times .*, and did 1 times$/m);
});

test('the list has the command for tests that the README names', (t) => {
  t.true(STEPS.some(({ command }) => command.join(' ') === 'npm test'));
});

test('the closing lines of all test runners are recognized', (t) => {
  const lines = {
    'cargo test': 'test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out',
    ava: '  345 tests passed',
    'The replay of a corpus': 'frames: 11 inputs replayed, none failed',
    conformance: '83 passed, 0 failed, 3 skipped',
    parity: '150 passed, 0 failed',
  };
  const runners = STEPS.flatMap((step) => step.runners ?? []);
  t.deepEqual(new Set(runners.map(({ name }) => name)), new Set(Object.keys(lines)));
  for (const { name, line } of runners) t.regex(lines[name], line);
});
