'use strict';

const { randomInt } = require('node:crypto');
const { isUint8Array } = require('node:util/types');
const errors = require('../errors.js');
const { checkSettings, mergeSettings, ownSettings } = require('../primary/settings.js');
const {
  bytesOf,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkObject,
  checkPath,
  checkStrings,
  checkTime,
} = require('./checks.js');
const checkInternal = require('./internal.js');
const { checkLog } = require('./log.js');
const { checkAdmin, checkControl, checkName } = require('./operator-sockets.js');
const countProcessors = require('./processors.js');

// Each worker is a process, so this leaves room for any machine.
const MOST_WORKERS = 4096;
const MOST_COUNT = 2 ** 31 - 1;
const DEFAULT_MAX_RESTART_DELAY = 15_000;
const KUBERNETES_SHUTDOWN_DELAY = 5_000;
const SEEDS = 2 ** 32;
const LAST_PORT = 65535;

/**
 * The settings of `setupPrimary()`, which `supervise()` takes too, and checks of those that `fork()` would take in
 * the wrong type, or refuse without naming them.
 */
const SETTINGS = {
  args: checkArgs,
  cwd: undefined,
  exec: undefined,
  execArgv: checkStrings,
  gid: checkIdentity,
  handOverIdle: undefined,
  inspectPort: checkPort,
  killMode: undefined,
  killTimeout: undefined,
  queueTimeout: undefined,
  serialization: undefined,
  silent: checkBoolean,
  stdio: checkStdio,
  uid: checkIdentity,
  windowsHide: checkBoolean,
};

const time = (least) => (name, value) => checkTime(name, value, least);
const count = (least) => (name, value) => checkInteger(name, value, least, MOST_COUNT);

/** What else `supervise()` takes: the default, and a check, which may return the value to use. */
const OPTIONS = {
  workers: ['auto', () => {}],
  directory: [undefined, checkPath],
  env: [undefined, checkEnv],
  readyWhen: ['listening', checkReadyWhen],
  readyTimeout: [60_000, time(1)],
  minUptime: [1_000, time()],
  maxSurge: [1, (name, value) => checkInteger(name, value, 0, MOST_WORKERS)],
  drainTimeout: [30_000, time()],
  shutdownDelay: [undefined, time()],
  maxGenerations: [3, count(1)],
  restartDelay: [100, time()],
  maxRestartDelay: [undefined, time()],
  maxRestarts: [Number.POSITIVE_INFINITY, checkRestarts],
  hungTimeout: [60_000, time()],
  blockedTimeout: [0, time()],
  maxMemory: [0, bytesOf],
  maxAge: [0, time()],
  maxRequests: [0, count(0)],
  jitter: [0.1, (name, value) => checkNumber(name, value, 0, 1)],
  name: [undefined, checkName],
  control: [undefined, checkControl],
  admin: [false, checkAdmin],
  signals: [true, checkBoolean],
  log: [false, checkLog],
  systemd: [true, checkBoolean],
};

/**
 * Checks the options of `cluster.supervise()`, and adds the defaults.
 *
 * @param {object} current `cluster.settings`
 * @param {{ killMode: 'graceful' | 'immediate' }} defaults of the settings
 * @param {object} [internal] what the command line asks for in addition
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`, and names the option
 */
function checkOptions(
  options = {},
  current = {},
  defaults = { killMode: 'graceful' },
  internal = undefined,
) {
  checkObject('options', options);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(SETTINGS, name) || Object.hasOwn(OPTIONS, name)) continue;
    if (options[name] === undefined) continue;
    throw errors.invalidArgValue(`options.${name}`, options[name], 'is unknown to supervise()');
  }
  const checked = {};
  for (const [name, [otherwise, check]] of Object.entries(OPTIONS)) {
    const value = options[name];
    checked[name] = value === undefined ? otherwise : (check(`options.${name}`, value) ?? value);
  }
  const workers = resolveWorkers('options.workers', checked.workers);
  const settings = settingsOf(options, current, defaults);
  const complete = completed({ ...checked, workers }, settings, defaults);
  const checkedInternal = checkInternal(internal);
  if (checkedInternal.rehearse) complete.engine.rehearse = true;
  if (checkedInternal.reapOrphans) complete.engine.reapOrphans = true;
  return { ...complete, internal: checkedInternal };
}

/** The settings for the workers. Those that are undefined do not replace the current ones. */
function settingsOf(options, current, defaults) {
  const given = Object.entries(options).filter(
    ([name, value]) => Object.hasOwn(SETTINGS, name) && value !== undefined,
  );
  for (const [name, value] of given) SETTINGS[name]?.(`options.${name}`, value);
  const settings = mergeSettings(current, Object.fromEntries(given));
  checkSettings(settings, defaults);
  checkFile('options.exec', settings.exec);
  if (settings.cwd) checkFile('options.cwd', settings.cwd);
  return settings;
}

/** What depends on several options. */
function completed(checked, settings, defaults) {
  const { workers, maxSurge, maxRestarts, restartDelay, ...others } = checked;
  checkSurge('options.workers', workers, maxSurge);
  const maxRestartDelay =
    others.maxRestartDelay ?? Math.max(restartDelay, DEFAULT_MAX_RESTART_DELAY);
  if (maxRestartDelay < restartDelay) {
    const reason = `must not be less than options.restartDelay (${restartDelay})`;
    throw errors.invalidArgValue('options.maxRestartDelay', maxRestartDelay, reason);
  }
  const restarts =
    typeof maxRestarts === 'number' ? { count: maxRestarts, within: 0 } : maxRestarts;
  const isKubernetes = process.env.KUBERNETES_SERVICE_HOST !== undefined;
  const { handOverIdle, killTimeout } = ownSettings(settings, defaults);
  const shutdownDelay = others.shutdownDelay ?? (isKubernetes ? KUBERNETES_SHUTDOWN_DELAY : 0);
  const { directory, env, signals, log, readyWhen, name, control, admin, systemd, ...limits } =
    others;
  return {
    name,
    control,
    admin,
    settings,
    directory,
    env,
    signals,
    log,
    systemd,
    readyWhen,
    shutdownDelay,
    drainTimeout: limits.drainTimeout,
    /** As the engine wants them. */
    engine: {
      ...limits,
      shutdownDelay,
      workers,
      maxSurge,
      readyWhen,
      restartDelay,
      maxRestartDelay,
      maxRestarts: restarts.count === Number.POSITIVE_INFINITY ? -1 : restarts.count,
      maxRestartsWithin: restarts.within,
      handsOver: handOverIdle,
      killTimeout,
      seed: randomInt(SEEDS),
    },
  };
}

/**
 * With one worker there would be none while it is replaced.
 *
 * @throws `ERR_INVALID_ARG_VALUE`
 */
function checkSurge(name, workers, maxSurge) {
  if (workers > 1 || maxSurge > 0) return;
  throw errors.invalidArgValue(name, workers, 'must be more than 1 with options.maxSurge: 0');
}

/** The number that `workers` stands for: a number itself, or 'auto'. */
function resolveWorkers(name, workers) {
  if (workers === 'auto') return automatic();
  if (typeof workers === 'string') {
    throw errors.invalidArgValue(name, workers, "must be a number or 'auto'");
  }
  checkInteger(name, workers, 1, MOST_WORKERS);
  return workers;
}

/** The variable is what platforms set for the number of processes (Heroku, and Puma and gunicorn read it). */
function automatic() {
  const { WEB_CONCURRENCY } = process.env;
  if (!WEB_CONCURRENCY) return Math.min(countProcessors(), MOST_WORKERS);
  const workers = Number(WEB_CONCURRENCY);
  if (Number.isInteger(workers) && workers >= 1 && workers <= MOST_WORKERS) return workers;
  throw errors.outOfRange(
    'process.env.WEB_CONCURRENCY',
    `an integer >= 1 && <= ${MOST_WORKERS}`,
    WEB_CONCURRENCY,
  );
}

function checkFile(name, value) {
  if (isUint8Array(value) || value instanceof URL) return;
  if (typeof value !== 'string') {
    const expected = 'of type string or an instance of Uint8Array or URL';
    throw errors.invalidArgType(name, expected, value);
  }
  checkPath(name, value);
}

/** Null stands for none, as in Node. */
function checkArgs(name, value) {
  if (value !== null && !Array.isArray(value)) {
    throw errors.invalidArgType(name, 'an instance of Array', value);
  }
}

/** A user or a group. Null stands for that of the primary, as in Node. */
function checkIdentity(name, value) {
  if (value !== null) checkInteger(name, value, 0, MOST_COUNT);
}

function checkPort(name, value) {
  if (typeof value !== 'function') checkInteger(name, value, 0, LAST_PORT);
}

function checkStdio(name, value) {
  if (typeof value === 'string' || Array.isArray(value)) return;
  throw errors.invalidArgType(name, 'of type string or an instance of Array', value);
}

function checkEnv(name, value) {
  if (typeof value !== 'function') checkObject(name, value);
}

function checkReadyWhen(name, value) {
  if (value === 'listening' || value === 'ready') return;
  throw errors.invalidArgValue(name, value, "must be one of: 'listening', 'ready'");
}

function checkRestarts(name, value) {
  if (value === Number.POSITIVE_INFINITY) return;
  if (typeof value === 'number') {
    checkInteger(name, value, 0, MOST_COUNT);
    return;
  }
  if (value === null || typeof value !== 'object') {
    throw errors.invalidArgType(name, 'of type number or object', value);
  }
  checkInteger(`${name}.count`, value.count, 0, MOST_COUNT);
  checkTime(`${name}.within`, value.within, 1);
}

/** The names of all options. */
const OPTION_NAMES = [...Object.keys(OPTIONS), ...Object.keys(SETTINGS)];

module.exports = { checkOptions, checkSurge, resolveWorkers, MOST_WORKERS, OPTION_NAMES };
