'use strict';

const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('./helpers/fixture');
const { execPath } = require('./helpers/implementation');
const { unprivileged } = require('./helpers/privileges');

const MISSING = path.join(__dirname, 'missing');
const NUL = 'a\0b';

/**
 * What comes of a fork with bad settings, or a bad environment. Whatever that is, the next fork of
 * the same primary must be good, and nothing of the bad one be left.
 */
async function forkBadly(t, { settings = {}, env = {}, ...options }) {
  const args = [[settings, env]];
  const { lines, code, stderr } = await run(t, 'bad-fork', { args, ...options });
  const [, outcome, ...rest] = lines;
  t.deepEqual(rest, [
    { event: 'next', args: [0, null] },
    { leaked: 0, workers: [] },
  ]);
  t.is(code, 0);
  return { ...outcome, stderr };
}

test('a missing program is an error of the worker', async (t) => {
  const outcome = await forkBadly(t, { settings: { exec: MISSING } });
  t.like(outcome, { event: 'exit', args: [1, null] });
  t.regex(outcome.stderr, /MODULE_NOT_FOUND/);
});

test('a program that throws at its start is an error of the worker', async (t) => {
  const exec = path.join(__dirname, 'fixtures/throws.js');
  const outcome = await forkBadly(t, { settings: { exec } });
  t.like(outcome, { event: 'exit', args: [1, null] });
  t.regex(outcome.stderr, /Error: thrown at start/);
});

test('a flag that Node does not know is an error of the worker', async (t) => {
  const outcome = await forkBadly(t, { settings: { execArgv: ['--nonsense'] } });
  t.like(outcome, { event: 'exit', args: [9, null] });
  t.regex(outcome.stderr, /bad option: --nonsense/);
});

test('bad NODE_OPTIONS are an error of the worker', async (t) => {
  const outcome = await forkBadly(t, { env: { NODE_OPTIONS: '--nonsense' } });
  t.like(outcome, { event: 'exit', args: [9, null] });
  t.regex(outcome.stderr, /NODE_OPTIONS/);
});

test('a missing cwd is an error event, and no exit', async (t) => {
  t.like(await forkBadly(t, { settings: { cwd: MISSING } }), {
    event: 'error',
    pid: 'undefined',
    code: 'ENOENT',
    errno: -os.constants.errno.ENOENT,
    syscall: `spawn ${execPath}`,
    path: execPath,
    spawnargs: [path.join(__dirname, 'fixtures/exits.js')],
  });
});

test('a cwd that is no directory makes fork throw', async (t) => {
  t.like(await forkBadly(t, { settings: { cwd: __filename } }), {
    threw: 'fork',
    code: 'ENOTDIR',
    errno: -os.constants.errno.ENOTDIR,
    syscall: 'spawn',
  });
});

const refused = [
  ['an exec that is no string', { exec: 5 }, 'ERR_INVALID_ARG_TYPE'],
  ['an exec that is null', { exec: null }, 'ERR_INVALID_ARG_TYPE'],
  ['an exec with a null byte', { exec: NUL }, 'ERR_INVALID_ARG_VALUE'],
  ['args that are no array', { args: 'text' }, 'ERR_INVALID_ARG_TYPE'],
  ['args with a null byte', { args: [NUL] }, 'ERR_INVALID_ARG_VALUE'],
  ['execArgv with a null byte', { execArgv: [NUL] }, 'ERR_INVALID_ARG_VALUE'],
  ['a cwd that is no string', { cwd: 5 }, 'ERR_INVALID_ARG_TYPE'],
  ['a cwd with a null byte', { cwd: NUL }, 'ERR_INVALID_ARG_VALUE'],
  ['a uid that is a name', { uid: 'nobody-at-all' }, 'ERR_INVALID_ARG_TYPE'],
  ['a gid that is a name', { gid: 'nobody-at-all' }, 'ERR_INVALID_ARG_TYPE'],
  ['a uid that is a fraction', { uid: 1.5 }, 'ERR_INVALID_ARG_TYPE'],
  ['stdio without ipc', { stdio: [0, 1, 2] }, 'ERR_CHILD_PROCESS_IPC_REQUIRED'],
  ['stdio with ipc twice', { stdio: [0, 1, 2, 'ipc', 'ipc'] }, 'ERR_IPC_ONE_PIPE'],
  ['stdio of an unknown kind', { stdio: 'nonsense' }, 'ERR_INVALID_ARG_VALUE'],
  ['a serialization of an unknown kind', { serialization: 'xml' }, 'ERR_INVALID_ARG_VALUE'],
  ['a windowsHide that is no boolean', { windowsHide: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
  ['an inspectPort that is null', { inspectPort: null }, 'ERR_SOCKET_BAD_PORT'],
  [
    'an inspectPort out of range',
    { inspectPort: 99_999, execArgv: ['--inspect'] },
    'ERR_SOCKET_BAD_PORT',
  ],
];
for (const [name, settings, code] of refused) {
  test(`${name} makes fork throw ${code}`, async (t) => {
    t.like(await forkBadly(t, { settings }), { threw: 'fork', code });
  });
}

test('execArgv that are no array make setupPrimary throw', async (t) => {
  t.like(await forkBadly(t, { settings: { execArgv: null } }), { threw: 'setupPrimary' });
});

for (const [name, env] of [
  ['a name', { [NUL]: 'value' }],
  ['a value', { NAME: NUL }],
]) {
  test(`a null byte in ${name} of the environment makes fork throw`, async (t) => {
    const code = 'ERR_INVALID_ARG_VALUE';
    t.like(await forkBadly(t, { env }), { threw: 'fork', code });
  });
}

const odd = {
  'a number': 5,
  'a string': 'text',
  'an array': [1],
  null: null,
  'an object with odd members': { '': 'empty', '=': 'equals', 'A=B': 'C', N: null, O: {} },
  'one with an id': { NODE_UNIQUE_ID: '77' },
};
for (const [name, env] of Object.entries(odd)) {
  test(`an environment that is ${name} does no harm`, async (t) => {
    t.like(await forkBadly(t, { env }), { event: 'exit', args: [0, null] });
  });
}

test('a uid that there cannot be makes fork throw', async (t) => {
  // With the rights to change it EINVAL, without them EPERM.
  const { threw, code, syscall } = await forkBadly(t, { settings: { uid: -1 } });
  t.is(threw, 'fork');
  t.true(['EINVAL', 'EPERM'].includes(code), code);
  t.is(syscall, 'spawn');
});

if (unprivileged) {
  test('a uid that this user may not become makes fork throw', async (t) => {
    t.like(await forkBadly(t, { settings: { uid: 0 }, spawn: unprivileged }), {
      threw: 'fork',
      code: 'EPERM',
      errno: -os.constants.errno.EPERM,
      syscall: 'spawn',
    });
  });
}
