'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

/** Resolves to what three workers report; `settings` are JavaScript. */
async function inspect(t, settings, options) {
  const { lines, code } = await run(t, 'environment/inspector-ports', {
    args: [settings],
    ...options,
  });
  t.is(code, 0);
  t.is(lines.length, 3);
  return lines.sort((a, b) => a.id - b.id);
}

const portsOf = (lines) => lines.map(({ debugPort }) => debugPort);
// The flag sets the port, but does not start the debugger.
const flag = (port) => `--inspect-port=${port}`;

test("workers get the debugger ports after the primary's port", async (t) => {
  const lines = await inspect(t, '{}', { nodeArgs: [flag(30_000)] });
  t.deepEqual(portsOf(lines), [30_001, 30_002, 30_003]);
  t.deepEqual(lines[0].execArgv, [flag(30_000), flag(30_001)]);
});

test('the debugger port after 65535 is 1024', async (t) => {
  const lines = await inspect(t, '{}', { nodeArgs: [flag(65_534)] });
  t.deepEqual(portsOf(lines), [65_535, 1024, 1025]);
});

test('an inspectPort that is undefined stands for the default', async (t) => {
  const lines = await inspect(t, '{ inspectPort: undefined }', { nodeArgs: [flag(30_000)] });
  t.deepEqual(portsOf(lines), [30_001, 30_002, 30_003]);
});

test('an inspectPort that is a number applies to every worker', async (t) => {
  const lines = await inspect(t, '{ inspectPort: 30_100 }', { nodeArgs: [flag(30_000)] });
  t.deepEqual(portsOf(lines), [30_100, 30_100, 30_100]);
});

test('an inspectPort that is a function is called for every worker', async (t) => {
  const settings = '(() => { let port = 30_100; return { inspectPort: () => (port += 10) }; })()';
  const lines = await inspect(t, settings, { nodeArgs: [flag(30_000)] });
  t.deepEqual(portsOf(lines), [30_110, 30_120, 30_130]);
});

test('inspectPort has no effect when no debugger is in use', async (t) => {
  for (const settings of [
    '{}',
    '{ inspectPort: 30_100 }',
    '{ inspectPort() { throw Error(); } }',
  ]) {
    const lines = await inspect(t, settings);
    const expected = { execArgv: [], debugPort: 9229, debugged: false };
    t.deepEqual(
      lines,
      [1, 2, 3].map((id) => ({ id, ...expected })),
    );
  }
});

test('flags of the debugger in NODE_OPTIONS count too', async (t) => {
  const lines = await inspect(t, '{}', { env: { NODE_OPTIONS: flag(30_000) } });
  t.deepEqual(
    lines.map(({ execArgv }) => execArgv),
    [[flag(30_001)], [flag(30_002)], [flag(30_003)]],
  );
});

test('the debugger of a worker listens if the flags say so', async (t) => {
  const lines = await inspect(t, "{ execArgv: ['--inspect'], inspectPort: 0 }");
  for (const { execArgv, debugged } of lines) {
    t.deepEqual(execArgv, ['--inspect', flag(0)]);
    t.true(debugged);
  }
});

for (const [start, how] of [
  ['SIGUSR1', 'SIGUSR1'],
  ['open', 'inspector.open()'],
]) {
  test(`${how} in the primary starts the inspectors of its workers too`, async (t) => {
    // Each process takes any free port.
    const nodeArgs = ['--inspect-port=0'];
    const { lines, code } = await run(t, 'environment/inspector-start', {
      args: [start],
      nodeArgs,
    });
    t.is(code, 0);
    t.deepEqual(lines.map(({ id, inspected }) => [id, inspected]).sort(), [
      [1, true],
      [2, true],
    ]);
  });
}
