'use strict';

const { spawnSync } = require('node:child_process');
const { serial: test } = require('ava');
const { startInternal } = require('../helpers/internal');

const LINES = 2_000;
const KIB = 1024;
/** For how long the beginning of a line is kept, in ms, and how many bytes of it. */
const PATIENCE = 100;
const LONGEST = 8 * KIB;
const PREFIX = { prefix: true };

/** A program without servers, which does this when the primary asks for it, or at its start. */
const program = (source) => `
const cluster = require('node:cluster');
const { INSTANCE } = process.env;
${source}
cluster.worker.ready();
setInterval(() => {}, 1_000);
`;

const start = (t, source, { options, internal, ...how } = {}) =>
  startInternal(t, {
    program: program(source),
    options: { readyWhen: 'ready', ...options },
    internal: { ...PREFIX, slotEnv: [{ name: 'INSTANCE' }], ...internal },
    ...how,
  });

const linesOf = (text) => text.split('\n').filter((line) => line !== '');

test('each line of stdout and stderr begins with the slot', async (t) => {
  const app = start(t, `console.log('out ' + INSTANCE); console.error('err ' + INSTANCE);`);
  await app.ready();
  const { stdout, stderr } = await app.end();
  const own = linesOf(stdout).filter((line) => !line.startsWith('{'));
  t.deepEqual(own.sort(), ['0 | out 0', '1 | out 1']);
  t.deepEqual(linesOf(stderr).sort(), ['0 | err 0', '1 | err 1']);
});

test('without the option nothing is added', async (t) => {
  const app = start(t, `console.log('out');`, { internal: { prefix: false } });
  await app.ready();
  const { stdout } = await app.end();
  t.deepEqual(
    linesOf(stdout).filter((line) => !line.startsWith('{')),
    ['out', 'out'],
  );
});

test('lines of many workers do not mix, and none is lost', async (t) => {
  const source = `
    const { writeSync } = require('node:fs');
    const slow = [];
    // In parts, each written by itself; and some lines are longer than a pipe takes at once.
    for (let line = 0; line < ${LINES}; line += 1) {
      const began = performance.now();
      writeSync(2, line + ' ');
      writeSync(2, INSTANCE.repeat(line % 500 === 0 ? ${20 * KIB} : line % 50) + '.\\n');
      if (performance.now() - began >= ${PATIENCE}) slow.push(line);
    }
    console.log('slow: ' + slow);`;
  const app = start(t, source, { options: { workers: 3 } });
  await app.ready();
  const { stdout, stderr } = await app.end();
  const slow = Object.fromEntries(
    Array.from(stdout.matchAll(/^(\d) \| slow: (.*)$/gm), ([, slot, lines]) => [
      slot,
      lines === '' ? [] : lines.split(',').map(Number),
    ]),
  );
  t.deepEqual(Object.keys(slow), ['0', '1', '2']);
  const found = { 0: [], 1: [], 2: [] };
  const begun = { 0: '', 1: '', 2: '' };
  for (const line of linesOf(stderr)) {
    const [, slot, part] = /^(\d) \| (.*)$/.exec(line) ?? [];
    t.truthy(slot, `it is a line of one worker: ${line.slice(0, 200)}`);
    const whole = begun[slot] + part;
    const number = Number.parseInt(whole, 10);
    if (whole.endsWith('.')) {
      t.is(whole, `${number} ${slot.repeat(number % 500 === 0 ? 20 * KIB : number % 50)}.`);
      found[slot].push(number);
      begun[slot] = '';
    } else {
      // Another line may begin where the rest of one takes long to come, or is long.
      t.true(slow[slot].includes(number) || part.length > LONGEST, line.slice(0, 200));
      begun[slot] = whole;
    }
  }
  const all = Array.from({ length: LINES }, (_, number) => number);
  t.deepEqual(found, { 0: all, 1: all, 2: all });
});

test('a prompt appears before its line ends', async (t) => {
  const source = `
    process.stdout.write('name? ');
    process.on('message', () => {});`;
  const app = start(t, source, { options: { workers: 1 } });
  await app.matches(/^0 \| name\? $/gm);
  await app.ready();
  await app.end();
  t.pass();
});

test('the end of the stderr of a failed worker is kept without prefixes', async (t) => {
  const options = { workers: 1, maxRestarts: 0 };
  const source = `console.error('first'); console.error('no database'); process.exit(3);`;
  const app = start(t, source, { options });
  const failed = await app.line({ on: 'supervisor', event: 'failed' });
  t.regex(failed.reason, /The end of its stderr:\nfirst\nno database$/);
  const { code, stderr } = await app.finish();
  t.is(code, 1);
  t.deepEqual(linesOf(stderr), ['0 | first', '0 | no database']);
});

const hasScript = spawnSync('script', ['--version']).status === 0;
const terminal = hasScript ? test : test.skip;

for (const [title, env, expected] of [
  ['with a color', {}, '\x1b[36m0 |\x1b[0m out'],
  ['without one if NO_COLOR is set', { NO_COLOR: '1' }, '0 | out'],
]) {
  terminal(`on a terminal the prefix is ${title}`, async (t) => {
    const quoted = `command=exec; for it; do command="$command '$it'"; done; exec script -qec "$command" /dev/null`;
    const launcher = ['sh', '-c', quoted, 'sh'];
    const app = start(t, `console.log('out');`, { options: { workers: 1 }, env, launcher });
    await app.ready();
    const { stdout } = await app.finish();
    t.true(stdout.includes(`${expected}\r\n`), JSON.stringify(stdout));
  });
}
