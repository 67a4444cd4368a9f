'use strict';

const { serial: test } = require('ava');
const { checkOptions } = require('../../lib/supervisor/options.js');

const PROGRAM = { exec: 'app.js', workers: 2 };
const check = (options) => checkOptions({ ...PROGRAM, ...options });
const engineOf = (options) => check(options).engine;

/** Sets a variable for the length of a call. */
function withVariable(name, value, call) {
  const before = process.env[name];
  process.env[name] = value;
  try {
    return call();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

test('the defaults are those that are documented', (t) => {
  const { engine, shutdownDelay, signals } = check({});
  const { seed, ...rest } = engine;
  t.true(Number.isInteger(seed));
  t.deepEqual(rest, {
    workers: 2,
    readyWhen: 'listening',
    readyTimeout: 60_000,
    minUptime: 1_000,
    maxSurge: 1,
    drainTimeout: 30_000,
    shutdownDelay: 0,
    killTimeout: 5_000,
    handsOver: true,
    maxGenerations: 3,
    restartDelay: 100,
    maxRestartDelay: 15_000,
    maxRestarts: -1,
    maxRestartsWithin: 0,
    hungTimeout: 60_000,
    blockedTimeout: 0,
    maxMemory: 0,
    maxAge: 0,
    maxRequests: 0,
    jitter: 0.1,
  });
  t.deepEqual([shutdownDelay, signals], [0, true]);
});

test('an option that is undefined has its default', (t) => {
  t.is(engineOf({ minUptime: undefined, killTimeout: undefined }).minUptime, 1_000);
});

const TYPE = 'ERR_INVALID_ARG_TYPE';
const VALUE = 'ERR_INVALID_ARG_VALUE';
const RANGE = 'ERR_OUT_OF_RANGE';

/** Options, the code of the error, and what its message names. */
const BAD = [
  [{ workers: 0 }, RANGE, 'options.workers'],
  [{ workers: -1 }, RANGE, 'options.workers'],
  [{ workers: 1.5 }, RANGE, 'options.workers'],
  [{ workers: Number.NaN }, RANGE, 'options.workers'],
  [{ workers: 5000 }, RANGE, 'options.workers'],
  [{ workers: 'all' }, VALUE, 'options.workers'],
  [{ workers: null }, TYPE, 'options.workers'],
  [{ workers: 1, maxSurge: 0 }, VALUE, 'options.workers'],
  [{ maxSurge: -1 }, RANGE, 'options.maxSurge'],
  [{ directory: 5 }, TYPE, 'options.directory'],
  [{ directory: '' }, VALUE, 'options.directory'],
  [{ env: 'A=1' }, TYPE, 'options.env'],
  [{ env: null }, TYPE, 'options.env'],
  [{ env: [] }, TYPE, 'options.env'],
  [{ readyWhen: 'online' }, VALUE, 'options.readyWhen'],
  [{ readyTimeout: 0 }, RANGE, 'options.readyTimeout'],
  [{ readyTimeout: '1s' }, TYPE, 'options.readyTimeout'],
  [{ minUptime: -1 }, RANGE, 'options.minUptime'],
  [{ drainTimeout: 2 ** 31 }, RANGE, 'options.drainTimeout'],
  [{ shutdownDelay: Number.POSITIVE_INFINITY }, RANGE, 'options.shutdownDelay'],
  [{ maxGenerations: 0 }, RANGE, 'options.maxGenerations'],
  [{ restartDelay: 2_000, maxRestartDelay: 1_000 }, VALUE, 'options.maxRestartDelay'],
  [{ maxRestarts: -1 }, RANGE, 'options.maxRestarts'],
  [{ maxRestarts: '5' }, TYPE, 'options.maxRestarts'],
  [{ maxRestarts: { count: 5 } }, TYPE, 'options.maxRestarts.within'],
  [{ maxRestarts: { count: 5, within: 0 } }, RANGE, 'options.maxRestarts.within'],
  [{ hungTimeout: 1n }, TYPE, 'options.hungTimeout'],
  [{ blockedTimeout: -5 }, RANGE, 'options.blockedTimeout'],
  [{ maxMemory: '512X' }, VALUE, 'options.maxMemory'],
  [{ maxMemory: 'M' }, VALUE, 'options.maxMemory'],
  [{ maxMemory: '9999999T' }, RANGE, 'options.maxMemory'],
  [{ maxMemory: -1 }, RANGE, 'options.maxMemory'],
  [{ maxMemory: true }, TYPE, 'options.maxMemory'],
  [{ maxAge: 0.5 }, RANGE, 'options.maxAge'],
  [{ maxRequests: -1 }, RANGE, 'options.maxRequests'],
  [{ jitter: 1.1 }, RANGE, 'options.jitter'],
  [{ signals: 'yes' }, TYPE, 'options.signals'],
  [{ systemd: 1 }, TYPE, 'options.systemd'],
  [{ exec: 5 }, TYPE, 'options.exec'],
  [{ exec: '' }, VALUE, 'options.exec'],
  [{ cwd: 5 }, TYPE, 'options.cwd'],
  [{ args: 'a b' }, TYPE, 'options.args'],
  [{ execArgv: null }, TYPE, 'options.execArgv'],
  [{ execArgv: '--inspect' }, TYPE, 'options.execArgv'],
  [{ execArgv: ['--inspect', 5] }, TYPE, 'options.execArgv[1]'],
  [{ uid: 'root' }, TYPE, 'options.uid'],
  [{ gid: Symbol('staff') }, TYPE, 'options.gid'],
  [{ uid: -1 }, RANGE, 'options.uid'],
  [{ inspectPort: 'any' }, TYPE, 'options.inspectPort'],
  [{ inspectPort: 65536 }, RANGE, 'options.inspectPort'],
  [{ silent: 'yes' }, TYPE, 'options.silent'],
  [{ stdio: 5 }, TYPE, 'options.stdio'],
  [{ stdio: null }, TYPE, 'options.stdio'],
  [{ windowsHide: 1 }, TYPE, 'options.windowsHide'],
  [{ killTimeout: -1 }, VALUE, 'settings.killTimeout'],
  [{ killMode: 'brutal' }, VALUE, 'settings.killMode'],
  [{ handOverIdle: 1 }, VALUE, 'settings.handOverIdle'],
  [{ minUpTime: 5 }, VALUE, 'options.minUpTime'],
];
for (const [options, code, name] of BAD) {
  const given = Object.entries(options).map(([key, value]) => `${key}: ${String(value)}`);
  test(`supervise({ ${given.join(', ')} }) throws ${code} and names ${name}`, (t) => {
    const { message } = t.throws(() => check(options), { code });
    t.true(message.includes(`"${name}"`), message);
  });
}

test('options that are not an object are refused', (t) => {
  for (const options of [null, 5, 'app.js', [PROGRAM]]) {
    t.throws(() => checkOptions(options), { code: TYPE });
  }
});

test('a size may be given in units of 1024', (t) => {
  const sizes = { '512M': 512 * 2 ** 20, '1.5g': 1.5 * 2 ** 30, '64 KiB': 65_536, '10B': 10, 9: 9 };
  for (const [text, bytes] of Object.entries(sizes))
    t.is(engineOf({ maxMemory: text }).maxMemory, bytes);
  t.is(engineOf({ maxMemory: 1_000 }).maxMemory, 1_000);
});

test('restarts may be limited in all, or within a time', (t) => {
  t.like(engineOf({ maxRestarts: 5 }), { maxRestarts: 5, maxRestartsWithin: 0 });
  const maxRestarts = { count: 5, within: 60_000 };
  t.like(engineOf({ maxRestarts }), { maxRestarts: 5, maxRestartsWithin: 60_000 });
});

test('the longest delay is not shorter than the first', (t) => {
  t.is(engineOf({ restartDelay: 20_000 }).maxRestartDelay, 20_000);
});

test('WEB_CONCURRENCY says how many workers automatically means', (t) => {
  const workers = (value, options) =>
    withVariable('WEB_CONCURRENCY', value, () => engineOf(options).workers);
  t.is(workers('3', { workers: 'auto' }), 3);
  t.is(workers('3', { workers: undefined }), 3);
  t.is(workers('3', { workers: 5 }), 5);
  const { message } = t.throws(() => workers('many', { workers: 'auto' }), { code: RANGE });
  t.true(message.includes('WEB_CONCURRENCY'));
});

test('in Kubernetes the workers serve on before they stop', (t) => {
  const delay = (options) =>
    withVariable('KUBERNETES_SERVICE_HOST', '10.0.0.1', () => check(options).shutdownDelay);
  t.is(delay({}), 5_000);
  t.is(delay({ shutdownDelay: 0 }), 0);
});

test('settings that are not given are those of setupPrimary', (t) => {
  const current = { exec: 'other.js', killTimeout: 7, args: ['x'] };
  const { settings, engine } = checkOptions(
    { workers: 1, killTimeout: undefined, args: [] },
    current,
  );
  t.like(settings, { exec: 'other.js', args: [], killTimeout: 7 });
  t.is(engine.killTimeout, 7);
});
