'use strict';

const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath, run } = require('../helpers/fixture');
const { execPath, isBuiltin } = require('../helpers/implementation');
const { unprivileged } = require('../helpers/privileges');
const { majorVersion } = require('../helpers/version');

const MISSING = path.join(__dirname, 'missing');

/**
 * Returns the outcome of a fork with bad settings, or a bad environment. In every case the next fork of the
 * same primary must succeed, and the bad fork must leave no descriptor and no worker behind.
 */
async function forkBadly(t, { settings = {}, env = {}, ...options }) {
  const args = [[settings, env]];
  const { lines, code, stderr } = await run(t, 'api/bad-fork', { args, ...options });
  const [, outcome, ...rest] = lines;
  t.deepEqual(rest, [
    { event: 'next', args: [0, null] },
    { leaked: 0, workers: [] },
  ]);
  t.is(code, 0);
  return { ...outcome, stderr };
}

/**
 * Forks with each of these values, and once with good settings at the end; checks the outcomes.
 * `toInput(value)` returns the settings, and the environment, as JavaScript.
 */
async function forkWith(t, toInput, outcomes) {
  const expressions = [...Object.keys(outcomes).map(toInput), '{}'];
  const { lines, code } = await run(t, 'api/bad-settings', { args: [expressions] });
  const expected = [...Object.values(outcomes), 'exits with 0'];
  t.deepEqual(lines.slice(1), [
    ...expressions.map((expression, at) => ({ expression, outcome: expected[at], leaked: 0 })),
    { workers: [] },
  ]);
  t.is(code, 0);
}

test('a missing program is an error of the worker', async (t) => {
  const outcome = await forkBadly(t, { settings: { exec: MISSING } });
  t.like(outcome, { event: 'exit', args: [1, null] });
  t.regex(outcome.stderr, /MODULE_NOT_FOUND/);
});

test('a program that throws at its start is an error of the worker', async (t) => {
  const exec = fixturePath('shared/throws');
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

test("a missing cwd is an 'error' event even if the outputs are pipes", async (t) => {
  const outcome = await forkBadly(t, { settings: { cwd: MISSING, silent: true } });
  t.like(outcome, { event: 'error', code: 'ENOENT' });
});

test("a missing cwd is an 'error' event without an 'exit' event", async (t) => {
  t.like(await forkBadly(t, { settings: { cwd: MISSING } }), {
    event: 'error',
    pid: 'undefined',
    code: 'ENOENT',
    errno: -os.constants.errno.ENOENT,
    syscall: `spawn ${execPath}`,
    path: execPath,
    spawnargs: [fixturePath('shared/exits')],
  });
});

const wrongType = 'fork throws TypeError ERR_INVALID_ARG_TYPE';
const wrongValue = 'fork throws TypeError ERR_INVALID_ARG_VALUE';
const badPort = 'fork throws RangeError ERR_SOCKET_BAD_PORT';
const badStream = 'fork throws TypeError ERR_INVALID_SYNC_FORK_INPUT';
const noNumber = majorVersion < 26 ? wrongType : 'fork throws RangeError ERR_OUT_OF_RANGE';
const good = 'exits with 0';

const identities = {
  "'root'": wrongType,
  '{}': wrongType,
  true: wrongType,
  1.5: noNumber,
  NaN: noNumber,
  '2 ** 31': noNumber,
  null: good,
  undefined: good,
};
const settings = {
  exec: {
    5: wrongType,
    null: wrongType,
    undefined: wrongType,
    "['exits.js']": wrongType,
    "Symbol('exec')": wrongType,
    "'a\\0b'": wrongValue,
    "new URL('http://host/')": 'fork throws TypeError ERR_INVALID_URL_SCHEME',
  },
  args: {
    "'text'": wrongType,
    5: wrongType,
    '() => {}': wrongType,
    // The built-in module uses an object as the options, and starts a process that is not a worker.
    '{}': isBuiltin ? good : wrongType,
    "['a\\0b']": wrongValue,
    null: good,
    undefined: good,
    '[7, null, true]': 'exits with 7',
  },
  execArgv: {
    null: 'setupPrimary throws TypeError',
    undefined: 'setupPrimary throws TypeError',
    '[null]': 'setupPrimary throws TypeError',
    5: 'fork throws TypeError',
    '{}': 'fork throws TypeError',
    "['a\\0b']": wrongValue,
    "['--nonsense']": 'exits with 9',
  },
  cwd: {
    5: wrongType,
    true: wrongType,
    '{}': wrongType,
    "'a\\0b'": wrongValue,
    "new URL('http://host/')": 'fork throws TypeError ERR_INVALID_URL_SCHEME',
    "'/dev/null'": 'fork throws Error ENOTDIR',
    "new URL('file:///')": good,
    "''": good,
    null: good,
  },
  uid: identities,
  gid: identities,
  stdio: {
    "'nonsense'": wrongValue,
    "'ipc'": wrongValue,
    '[]': 'fork throws Error ERR_CHILD_PROCESS_IPC_REQUIRED',
    '[0, 1, 2]': 'fork throws Error ERR_CHILD_PROCESS_IPC_REQUIRED',
    "[0, 1, 2, 'ipc', 'ipc']": 'fork throws Error ERR_IPC_ONE_PIPE',
    "[0, 1, 2, 'ipc', 'nonsense']": badStream,
    "[0, 1, 2, 'ipc', Buffer.alloc(1)]": badStream,
    "[0, 1, 2, 'ipc', {}]": wrongValue,
    "[0, 1, 2, 'ipc', true]": wrongValue,
    "[0, 1, 2, 'ipc', 999]": 'fork throws Error EBADF',
    "[0, 1, 2, 'ipc', undefined, null, -1]": good,
    "['ipc']": good,
    5: good,
    '{}': good,
  },
  silent: { "'yes'": good, 0: good, null: good },
  windowsHide: { "'yes'": wrongType, 1: wrongType, '{}': wrongType, true: good, null: good },
  serialization: { "'xml'": wrongValue, 5: wrongValue, "''": wrongValue, null: wrongValue },
  inspectPort: { null: badPort, 70000: good, "'nonsense'": good, '{}': good },
};
for (const [name, outcomes] of Object.entries(settings)) {
  test(`a bad ${name} has the outcome that Node gives it`, async (t) => {
    await forkWith(t, (value) => `{ ${name}: ${value} }`, outcomes);
  });
}

test('a bad inspectPort is an error if the inspector is in use', async (t) => {
  await forkWith(t, (port) => `{ execArgv: ['--inspect'], inspectPort: ${port} }`, {
    70000: badPort,
    '-1': badPort,
    1.5: badPort,
    NaN: badPort,
    "'nonsense'": badPort,
    "''": badPort,
    true: badPort,
    '{}': badPort,
    '[5]': badPort,
    "Symbol('port')": badPort,
    '() => null': badPort,
    '() => 70_000': badPort,
    "() => { throw new SyntaxError('expected') }": 'fork throws SyntaxError',
    0: good,
    "'0'": good,
    '() => 0': good,
  });
});

if (!isBuiltin) {
  // Settings that Node does not have.
  const badSetting = 'setupPrimary throws TypeError ERR_INVALID_ARG_VALUE';
  const timeout = {
    "'5'": badSetting,
    '-1': badSetting,
    1.5: badSetting,
    '2 ** 31': badSetting,
    0: good,
  };
  const ourSettings = {
    killMode: { "'gentle'": badSetting, null: badSetting, 5: badSetting, "'immediate'": good },
    killTimeout: timeout,
    queueTimeout: timeout,
  };
  for (const [name, outcomes] of Object.entries(ourSettings)) {
    test(`a bad ${name} makes setupPrimary throw`, async (t) => {
      await forkWith(t, (value) => `{ ${name}: ${value} }`, outcomes);
    });
  }

  test('setupPrimary refuses the former name of a setting and says the new one', async (t) => {
    const { threw, code, message } = await forkBadly(t, { settings: { holdTimeout: 0 } });
    t.deepEqual([threw, code], ['setupPrimary', 'ERR_INVALID_ARG_VALUE']);
    t.is(
      message,
      'The "settings.holdTimeout" property has been renamed to settings.queueTimeout. Received 0',
    );
  });
}

test('a bad environment has the outcome that Node gives it', async (t) => {
  const outcomes = {
    "{ 'a\\0b': 'value' }": wrongValue,
    "{ NAME: 'a\\0b' }": wrongValue,
    "{ NAME: Symbol('value') }": 'fork throws TypeError',
    '{ NAME: Object.create(null) }': 'fork throws TypeError',
    "{ get NAME() { throw new SyntaxError('expected'); } }": 'fork throws SyntaxError',
    "{ NAME: 'x'.repeat(200_000) }": 'fork throws Error E2BIG',
    5: good,
    "'text'": good,
    '[1]': good,
    null: good,
    '() => {}': good,
    "Symbol('env')": good,
    "{ '': 'empty', '=': 'equals', 'A=B': 'C', N: null, U: undefined, O: {} }": good,
    "{ NODE_UNIQUE_ID: '77', NODE_CHANNEL_FD: '77' }": good,
  };
  await forkWith(t, (env) => `{}, ${env}`, outcomes);
});

test('an impossible uid makes fork throw', async (t) => {
  // A user who may change the uid gets EINVAL, any other EPERM.
  const { threw, code, syscall } = await forkBadly(t, { settings: { uid: -1 } });
  t.is(threw, 'fork');
  t.true(['EINVAL', 'EPERM'].includes(code), code);
  t.is(syscall, 'spawn');
});

if (unprivileged) {
  test('a uid that this user may not set makes fork throw', async (t) => {
    t.like(await forkBadly(t, { settings: { uid: 0 }, spawn: unprivileged }), {
      threw: 'fork',
      code: 'EPERM',
      errno: -os.constants.errno.EPERM,
      syscall: 'spawn',
    });
  });
}
