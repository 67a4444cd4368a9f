'use strict';

// What systemd tells a service by its environment: sd_notify(3), sd_watchdog_enabled(3), and systemd.exec(5) for FDSTORE.

const { isActivation } = require('./activation.js');

const NAMES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'FDSTORE'];
const MOST_STORED = 2 ** 16;
const MICROSECONDS = 1000;

/** What was in the environment, once it has been read. */
let found;

/**
 * Where the service manager of this process listens, if it has one: read once, and removed from `process.env`, because
 * child processes are not the service.
 *
 * @returns {{ notifySocket?: string, watchdog?: number, stores?: number }} for the engine; the watchdog's time is in
 *   milliseconds, and `stores` says how many descriptors are stored
 */
function takeServiceManager() {
  if (found === undefined) {
    found = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));
    for (const name of NAMES) delete process.env[name];
  }
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, FDSTORE } = found;
  if (!NOTIFY_SOCKET) return {};
  const isOurs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
  const watchdog = Number(WATCHDOG_USEC) / MICROSECONDS;
  const isWatched = isOurs && watchdog > 0 && Number.isFinite(watchdog);
  const stores = Math.min(Number(FDSTORE), MOST_STORED);
  return {
    notifySocket: NOTIFY_SOCKET,
    ...(isWatched && { watchdog }),
    ...(Number.isInteger(stores) && stores > 0 && { stores }),
  };
}

/** Puts back what was removed from `process.env`, because supervision does not begin: the program may need it. */
function returnServiceManager() {
  for (const [name, value] of Object.entries(found ?? {})) {
    if (value !== undefined) process.env[name] = value;
  }
  found = undefined;
}

/** What was removed from `process.env`, for the process that becomes the service in place of this one. */
function serviceManagerOfSuccessor() {
  // The watchdog waits for the main process, and its pid is not known yet.
  const { WATCHDOG_PID: _pid, ...rest } = found ?? {};
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
}

/** The environment of a worker, without what the service manager has given to this process. */
function withoutServiceManager(env) {
  const isTaken = ([name, value]) =>
    (found !== undefined && NAMES.includes(name) && value === found[name]) ||
    isActivation(name, value);
  return Object.fromEntries(Object.entries(env).filter((entry) => !isTaken(entry)));
}

module.exports = {
  returnServiceManager,
  serviceManagerOfSuccessor,
  takeServiceManager,
  withoutServiceManager,
};
