'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');

const LINES = 8_000;

// The built-in module does not supervise.
if (!isBuiltin) {
  test('log: "text" writes a line for each event to stderr', async (t) => {
    const app = await startSupervised(t, { options: { log: 'text' } });
    app.deploy("console.error('no database'); process.exit(3);");
    await t.throwsAsync(app.perform('reload'));
    await app.end();
    const lines = app.stderr.trimEnd().split('\n');
    t.deepEqual(
      lines.filter((line) => !/^\d\d:\d\d:\d\d \S/.test(line)),
      ['no database'],
    );
    const texts = lines.map((line) => line.slice('12:00:00 '.length));
    t.true(texts.includes('reloading'));
    const failed = texts.filter((text) => text.startsWith('reload failed: '));
    t.regex(
      failed.join(),
      /^reload failed: worker 3 \(slot 0\) exited with code 3 in phase (?:start|ready)$/,
    );
    t.is(texts.at(-1), 'stopped');
  });

  test('log: a function gets an entry for each event, and what it throws is an uncaught exception', async (t) => {
    const { code, stderr, lines } = await run(t, 'supervise/log', { args: ['function'] });
    t.not(code, 0);
    t.regex(stderr, /Error: thrown by the log/);
    const [ready] = lines.filter(({ event }) => event === 'ready');
    t.like(ready, { level: 'info', workers: 1, generation: 1 });
  });

  test('log: another value is refused', async (t) => {
    const { lines } = await run(t, 'supervise/log', { args: ['refused'] });
    t.deepEqual(lines, [{ code: 'ERR_INVALID_ARG_VALUE', named: true }]);
  });

  test('lines that a slow reader has no room for are counted, and the others stay whole and in order', async (t) => {
    const written = path.join(temporaryDirectory(t), 'written');
    const reader = `until [ -e '${written}' ]; do sleep 0.05; done; exec cat >&2`;
    const { stderr } = await run(t, 'supervise/slow-log', {
      args: [LINES, written],
      launcher: ['bash', '-c', `exec "$@" 2> >(${reader})`, 'bash'],
    });
    const lines = stderr.trimEnd().split('\n');
    const numbers = lines
      .filter((line) => /^\d+ x+$/.test(line))
      .map((line) => Number.parseInt(line, 10));
    t.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
    const lost = lines
      .filter((line) => line.startsWith('lost '))
      .map((line) => Number(line.slice(5)));
    t.true(lost.length > 0);
    t.is(numbers.length + lost.reduce((sum, it) => sum + it, 0), LINES);
    t.is(numbers.length + lost.length, lines.length);
  });
}
