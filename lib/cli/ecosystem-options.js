'use strict';

// The fields of PM2's ecosystem file that decide how workers are started, watched and replaced, as options of
// `supervise()`. Where PM2 has a default that a file does not mention, the default of `supervise()` applies.

const ConfigError = require('./config-error.js');
const { toTime, toWorkers } = require('./ecosystem-values.js');
const { bytesOf } = require('../supervisor/checks.js');

const MEBIBYTE = 1024 ** 2;
const EXEC_MODE = /^(cluster|fork)(_mode)?$/;
// The default of `readyTimeout`.
const READY_TIMEOUT = 60_000;
// The longest delay of PM2's exponential back-off.
const MOST_DELAY = 15_000;
// After so long a worker counts as well, and its slot starts from the beginning.
const MOST_UPTIME = 30_000;

/**
 * @param {object} fields by their names in PM2's schema, of the right types
 * @param {(warning: string) => void} warn
 * @throws {ConfigError}
 */
function supervisionOf(fields, warn) {
  return {
    workers: workersOf(fields, warn),
    ...readinessOf(fields, warn),
    ...timesOf(fields, warn),
    ...restartsOf(fields, warn),
    ...memoryOf(fields, warn),
  };
}

function workersOf({ instances, exec_mode, increment_var, wait_ready }, warn) {
  if (exec_mode !== undefined && !EXEC_MODE.test(exec_mode)) {
    throw new ConfigError(`exec_mode: "${exec_mode}" is not "cluster" or "fork"`);
  }
  const workers = instances === undefined ? 1 : toWorkers(instances);
  const isFork = exec_mode?.startsWith('fork') && workers !== 1;
  if (isFork) {
    warn(
      'exec_mode: "fork" with several instances: here they share their ports, as in cluster mode',
    );
  }
  if (increment_var !== undefined && workers !== 1 && !wait_ready) {
    warn(
      `increment_var: if ${increment_var} is the port, each worker listens on another one: then set wait_ready, and call process.send('ready')`,
    );
  }
  return workers;
}

/**
 * After `listen_timeout` PM2 goes on, whether the worker is ready or not, so files have times in which programs do not
 * get ready. Here a worker that is late has failed: it gets no less time than by default.
 */
function readinessOf({ wait_ready, listen_timeout }, warn) {
  const options = wait_ready ? { readyWhen: 'ready' } : {};
  if (!listen_timeout) return options;
  if (listen_timeout > READY_TIMEOUT) return { ...options, readyTimeout: listen_timeout };
  warn(
    `listen_timeout: PM2 goes on after ${listen_timeout} ms without the worker; here it would have failed, so it has 60 s, or --ready-timeout`,
  );
  return options;
}

/** PM2 kills a worker `kill_timeout` after it was told to leave: in that time requests have to end. */
function timesOf({ kill_timeout, min_uptime }, warn) {
  const options = {};
  if (kill_timeout) options.drainTimeout = kill_timeout;
  if (min_uptime === undefined) return options;
  const time = toTime('min_uptime', min_uptime);
  if (time > MOST_UPTIME) {
    warn(
      `min_uptime: ${JSON.stringify(min_uptime)} is limited to 30 s, because a reload tries its first worker for so long`,
    );
  }
  return { ...options, minUptime: Math.min(time, MOST_UPTIME) };
}

/** A delay of 0, which is PM2's default, would let a broken program start all the time. */
function restartsOf(fields, warn) {
  const { restart_delay, exp_backoff_restart_delay, max_restarts, autorestart } = fields;
  const options = {};
  if (exp_backoff_restart_delay) {
    options.restartDelay = exp_backoff_restart_delay;
    options.maxRestartDelay = Math.max(exp_backoff_restart_delay, MOST_DELAY);
  } else if (restart_delay) {
    options.restartDelay = restart_delay;
    options.maxRestartDelay = restart_delay;
  }
  if (max_restarts !== undefined) options.maxRestarts = max_restarts;
  if (autorestart !== false) return options;
  warn(
    'autorestart: false: when all workers have ended, rs-cluster ends with code 1; run a program that ends by itself by systemd or cron',
  );
  return { ...options, maxRestarts: 0 };
}

function memoryOf({ max_memory_restart }, warn) {
  if (max_memory_restart === undefined) return {};
  const bytes = sizeOf(max_memory_restart);
  if (bytes < MEBIBYTE) {
    warn(
      `max_memory_restart: ${JSON.stringify(max_memory_restart)} is ${bytes} bytes, less than any worker needs; write "300M" for megabytes`,
    );
  }
  return { maxMemory: bytes };
}

function sizeOf(value) {
  try {
    return bytesOf('max_memory_restart', value);
  } catch {
    const given = JSON.stringify(value);
    throw new ConfigError(`max_memory_restart: ${given} is not a size such as "300M" or "1G"`);
  }
}

module.exports = supervisionOf;
