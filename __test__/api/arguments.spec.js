'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { temporaryDirectory } = require('../helpers/temporary');
const { majorVersion } = require('../helpers/version');

const wrongType = 'throws TypeError ERR_INVALID_ARG_TYPE';
const wrongValue = 'throws TypeError ERR_INVALID_ARG_VALUE';
const badPort = 'throws RangeError ERR_SOCKET_BAD_PORT';
const badSignal = 'throws TypeError ERR_UNKNOWN_SIGNAL';
const missing = 'throws TypeError ERR_MISSING_ARGS';

/** Makes `{ 'f(1)': outcome }` from `{ 1: outcome }`. */
const callsOf = (callee, outcomes) =>
  Object.entries(outcomes).map(([args, outcome]) => [`${callee}(${args})`, outcome]);

/** Makes calls in the primary and in a worker; checks them against lists of expression and outcome. */
async function call(t, calls, settings = {}) {
  const expressions = Object.fromEntries(
    Object.entries(calls).map(([role, pairs]) => [role, pairs.map(([expression]) => expression)]),
  );
  const { lines, code } = await run(t, 'api/bad-calls', { args: [expressions, settings] });
  t.is(code, 0);
  for (const [role, pairs] of Object.entries(calls)) {
    t.deepEqual(
      lines.filter((line) => line.role === role).map((it) => [it.expression, it.outcome]),
      pairs,
    );
  }
}

test('send checks its arguments as Node does', async (t) => {
  const outcomes = {
    '': missing,
    undefined: missing,
    "Symbol('message')": wrongType,
    '() => {}': wrongType,
    '1n': wrongType,
    "'message', undefined, null": wrongType,
    "'message', undefined, 5": wrongType,
    "'message', undefined, 'options'": wrongType,
    "'message', undefined, true": wrongType,
    "'message', undefined, []": wrongType,
    "'message', { not: 'a handle' }": 'throws TypeError ERR_INVALID_HANDLE_TYPE',
    "'message', null": 'returns boolean',
    "'message', 0, {}": 'returns boolean',
    "'message', undefined, new Date()": 'returns boolean',
    "'message', undefined, undefined, 'no callback'": 'returns boolean',
    "'message', () => {}, 5": 'returns boolean',
    null: 'returns boolean',
  };
  await call(t, {
    primary: [...callsOf('worker.send', outcomes), ...callsOf('worker.process.send', outcomes)],
    worker: [...callsOf('process.send', outcomes), ...callsOf('cluster.worker.send', outcomes)],
  });
});

// The built-in module has only one mode, which has no name.
for (const killMode of isBuiltin ? [undefined] : ['graceful', 'immediate']) {
  test(`a kill in mode ${killMode ?? 'immediate'} checks its signal as Node does`, async (t) => {
    const outcomes = {
      "'NONSENSE'": badSignal,
      "'15'": badSignal,
      999: badSignal,
      1.5: badSignal,
      '-1': badSignal,
      true: badSignal,
      '{}': badSignal,
      "['SIGTERM']": badSignal,
      "Symbol('signal')": badSignal,
      '15n': badSignal,
    };
    const callees = ['worker.kill', 'worker.destroy', 'worker.process.kill'];
    const more = { null: badSignal, "''": badSignal, 0: 'returns boolean' };
    await call(
      t,
      {
        primary: [
          ...callees.flatMap((callee) => callsOf(callee, outcomes)),
          ...callsOf('worker.process.kill', more),
        ],
        worker: callsOf('cluster.worker.process.kill', { "'pid'": wrongType }),
      },
      { killMode },
    );
  });
}

test('setupPrimary takes any options, and disconnect any callback', async (t) => {
  const anything = ['5', 'null', 'undefined', "'text'", 'true', '[1]', "Symbol('x')"];
  const outcomes = Object.fromEntries(anything.map((args) => [args, 'returns undefined']));
  await call(t, {
    primary: [
      ...callsOf('cluster.setupPrimary', outcomes),
      ...callsOf('cluster.disconnect', outcomes),
    ],
    worker: [],
  });
});

test('the Worker class takes any options except a process that is not one', async (t) => {
  const outcomes = {
    5: 'returns object',
    null: 'returns object',
    "'text'": 'returns object',
    '[]': 'returns object',
    "{ id: 'none', state: 5 }": 'returns object',
    "{ id: Symbol('id') }": 'throws TypeError',
    '{ process: {} }': 'throws TypeError',
    '{ process: 5 }': 'throws TypeError',
  };
  const calls = [
    ...callsOf('cluster.Worker', outcomes),
    ...callsOf('new cluster.Worker', outcomes),
  ];
  await call(t, { primary: calls, worker: calls });
});

test('listen in a worker checks its arguments as it does without a cluster', async (t) => {
  const outcomes = {
    'server.listen(-1)': badPort,
    'server.listen(65536)': badPort,
    'server.listen(1.5)': badPort,
    "server.listen({ port: 'text' })": badPort,
    'server.listen(true)': wrongValue,
    'server.listen({})': wrongValue,
    'server.listen({ port: {} })': wrongValue,
    "server.listen({ port: '0' })": 'listens',
    'server.listen({ port: null })': 'listens',
    'server.listen()': 'listens',
    'server.listen({ port: 0, host: 5 })': wrongType,
    'server.listen({ port: 0, host: {} })': wrongType,
    "server.listen({ port: 0, host: '' })": 'listens',
    "server.listen({ port: 0, host: '1.2.3' })": 'emits Error EADDRNOTAVAIL',
    "server.listen({ port: 0, exclusive: 'yes' })": 'listens',
    "server.listen({ port: 0, ipv6Only: 'yes' })": 'listens',
    'server.listen({ port: 0, signal: 5 })': wrongType,
    'server.listen({ path: 5 })': wrongValue,
    "server.listen({ path: '' })": wrongValue,
    "server.listen({ path: '/' })": 'emits Error EADDRINUSE',
    "server.listen({ path: '/dev/null/socket' })": 'emits Error ENOTDIR',
    "server.listen({ path: 'socket', readableAll: 1, writableAll: 'yes' })": 'listens',
    'server.listen({ fd: -1 })': wrongValue,
    "server.listen({ fd: 'text' })": wrongValue,
    'server.listen({ fd: 999 })': 'emits Error EINVAL',
    'server.listen({ fd: 1.5 })': 'emits Error EINVAL',
    'server.listen({ fd: 2 ** 31 })': 'emits Error EINVAL',
    // Older versions use the part of the path before the null byte, or the part that fits.
    "server.listen({ path: 'a\\0b' })":
      isBuiltin && majorVersion < 22 ? 'listens' : 'emits Error EINVAL',
  };
  await listen(t, outcomes);
});

for (const policy of isBuiltin ? ['rr', 'none'] : ['rr', 'none', 'reuseport']) {
  test(`listen in a worker takes any backlog: ${policy}`, async (t) => {
    const numbers = [
      '-1',
      '1.5',
      '2 ** 40',
      "'5'",
      "'0x10'",
      'true',
      '[3]',
      '{ valueOf: () => 3 }',
    ];
    const others = ["'text'", '{}', '[]', 'null', '() => {}'];
    const calls = [...numbers, ...others].map((it) => `server.listen({ port: 0, backlog: ${it} })`);
    const env = { NODE_CLUSTER_SCHED_POLICY: policy };
    await listen(t, Object.fromEntries(calls.map((it) => [it, 'listens'])), env);
  });
}

test('bind in a worker checks its arguments as it does without a cluster', async (t) => {
  const outcomes = {
    'udp4.bind()': 'listens',
    'udp4.bind(null)': 'listens',
    "udp4.bind('0')": 'listens',
    "udp4.bind('text')": 'listens',
    'udp4.bind({ port: {} })': 'listens',
    'udp4.bind(65536)': 'listens', // Taken modulo 65536.
    'udp4.bind(-65536)': 'listens',
    "udp4.bind(0, '')": 'listens',
    "udp4.bind(0, '::1')": 'emits Error EINVAL',
    "udp6.bind(0, '127.0.0.1')": 'emits Error EINVAL',
    'udp4.bind(0, 5)': wrongType,
    'udp4.bind(0, {})': wrongType,
    'udp4.bind({ port: 0, address: true })': wrongType,
    "udp4.bind(0, '1.2.3')": 'emits Error EADDRNOTAVAIL',
    'udp4.bind({ fd: 999 })': 'emits Error EINVAL',
    'udp4.bind({ fd: 1 })': 'emits Error EINVAL',
    'udp4.bind({ fd: -1 })': 'listens',
    "udp4.bind({ fd: 'text' })": 'listens',
    'udp4.bind(0).bind(0)': 'throws Error ERR_SOCKET_ALREADY_BOUND',
    'udp6.bind()': 'listens',
  };
  await listen(t, outcomes);
});

async function listen(t, outcomes, env = {}) {
  const { lines, code } = await run(t, 'api/bad-listen', {
    args: [Object.keys(outcomes)],
    env,
    spawn: { cwd: temporaryDirectory(t) },
  });
  t.is(code, 0);
  t.deepEqual(
    Object.fromEntries(lines.map(({ expression, outcome }) => [expression, outcome])),
    outcomes,
  );
}
