'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { BUILTIN } = require('../helpers/implementation');

const VALUES = [
  ...['undefined', 'null', 'true', '5', '1.5', 'NaN', '-1', '2 ** 31', 'Infinity', '5n'],
  ...["''", "'text'", '"it\'s"', "'x'.repeat(100)", "'a\\0b'", "Symbol('x')"],
  ...['() => {}', 'class Named {}', 'function () {}', '/x/', 'new Date(0)', 'new Map()'],
  ...['{}', 'Object.create(null)', "{ constructor: { name: '' } }", '{ constructor: 5 }'],
  ...[
    "new URL('http://host/')",
    "new URL('file:///')",
    'new Uint8Array(2)',
    "Buffer.from('a\\0b')",
  ],
  ...[
    '[]',
    '[5]',
    '[null]',
    "['a\\0b']",
    "['x']",
    "[Symbol('x')]",
    '[{}]',
    '[Object.create(null)]',
  ],
  ...["{ length: 1, 0: '--prof' }", "{ href: 'x', protocol: 'http:' }"],
];
const STREAMS = [
  ...['[0, 1, 2]', "['ipc', 'ipc']", "[0, 1, 2, 'ipc', 'nonsense']", "[0, 1, 2, 'ipc', {}]"],
  ...["[0, 1, 2, 'ipc', true]", "[0, 1, 2, 'ipc', 999]", "[0, {}, 'ipc', 'ipc']"],
  "[0, 1, 2, 'ipc', new Uint8Array(2)]",
];
const SEVERAL = [
  "{ uid: 'x', cwd: 5 }",
  "{ cwd: 5, execArgv: ['\\0'] }",
  "{ serialization: 'x', stdio: [0, 1, 2] }",
  "{ serialization: 'x', stdio: ['ipc', {}] }",
  '{ inspectPort: null, exec: 5 }',
  '{ windowsHide: 1, uid: 1.5 }',
  "{ exec: 5 }, { get A() { throw new Error('expected'); } }",
  "{ inspectPort: null }, { get A() { throw new Error('expected'); } }",
  "{}, { ['a\\0b']: 1 }",
];

const of = (name, values = VALUES) => values.map((value) => `{ ${name}: ${value} }`);
// The documented differences for `args` are left out: an object is not used as the options, and a value that
// can't be converted to a string makes fork() throw.
const isAsNodesArgs = (value) => !/^(?:\{|new|Object|Buffer|\/|\[(?:Symbol|Object))/.test(value);

const settings = {
  exec: of('exec'),
  args: of('args', VALUES.filter(isAsNodesArgs)),
  execArgv: of('execArgv'),
  cwd: of('cwd'),
  uid: of('uid'),
  gid: of('gid'),
  stdio: of('stdio', [...VALUES, ...STREAMS]),
  silent: of('silent'),
  windowsHide: of('windowsHide'),
  serialization: of('silent: true, serialization'),
  inspectPort: [
    ...of("execArgv: ['--inspect-port=0'], inspectPort"),
    ...VALUES.map((it) => `{ execArgv: ['--inspect-port=0'], inspectPort: () => (${it}) }`),
  ],
};

const environments = VALUES.flatMap((value) => [`{}, ${value}`, `{}, { A: ${value} }`]);

async function look(t, fixture, what, env) {
  const { lines, code } = await run(t, fixture, { args: [what], env });
  t.is(code, 0);
  return lines;
}

async function compare(t, fixture, what) {
  const expected = await look(t, fixture, what, { CLUSTER: BUILTIN });
  t.deepEqual(await look(t, fixture, what), expected);
}

for (const [name, expressions] of Object.entries(settings)) {
  test(`fork throws Node's own error for a bad ${name}, word for word`, async (t) => {
    await compare(t, 'api/fork-errors', expressions);
  });
}

test("fork throws Node's own error for a bad environment, word for word", async (t) => {
  await compare(t, 'api/fork-errors', environments);
});

test('if several settings are bad, fork names the one that Node names', async (t) => {
  await compare(t, 'api/fork-errors', SEVERAL);
});

test('a fork that throws uses up its id', async (t) => {
  const expressions = ['{ exec: 5 }', '{ inspectPort: null }', '{}', '{ stdio: [] }'];
  const lines = await look(t, 'api/fork-errors', expressions);
  t.deepEqual(lines.at(-1), { ids: ['3', '5'] });
});

for (const role of ['primary', 'worker']) {
  test(`send throws Node's own errors in a ${role}, word for word`, async (t) => {
    // A class would be used as the callback.
    const values = VALUES.filter((value) => !value.startsWith('class'));
    const lists = ['', ...values.flatMap((it) => [it, `0, ${it}`, `0, null, ${it}`])];
    await compare(t, 'api/send-errors', { role, lists });
  });
}
