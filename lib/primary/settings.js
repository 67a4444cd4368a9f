'use strict';

const errors = require('../errors.js');

const KILL_MODES = ['graceful', 'immediate'];
/** Settings by the names that they had before the first release. */
const RENAMED_SETTINGS = [['holdTimeout', 'queueTimeout']];
const DEFAULT_TIMEOUT = 5000;
// Of timers: about 25 days.
const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** The settings of `setupPrimary(options)`, over those in force. */
function mergeSettings(current, options) {
  const settings = {
    args: process.argv.slice(2),
    exec: process.argv[1],
    execArgv: process.execArgv,
    silent: false,
    ...current,
    ...options,
  };
  const isGiven = (prefix) => oneStartsWith(settings.execArgv, prefix);
  // V8's profiles have addresses in them, so those of several processes can't share one file.
  if (isGiven('--prof') && !isGiven('--logfile=')) {
    settings.execArgv = [...settings.execArgv, '--logfile=v8-%p.log'];
  }
  return settings;
}

/** Takes any array-like object: fork() throws for the others, and for members that are not strings. */
function oneStartsWith(args, prefix) {
  return Array.prototype.some.call(args, (arg) => String.prototype.startsWith.call(arg, prefix));
}

/**
 * Our own settings, which Node does not have, with their defaults. `cluster.settings` does not show these
 * defaults, because it shows Node's only.
 *
 * @param {{ killMode: 'graceful' | 'immediate' }} defaults
 */
function ownSettings({ handOverIdle, killMode, killTimeout, queueTimeout }, defaults) {
  return {
    handOverIdle: handOverIdle === undefined ? true : handOverIdle,
    killMode: killMode === undefined ? defaults.killMode : killMode,
    killTimeout: killTimeout === undefined ? DEFAULT_TIMEOUT : killTimeout,
    queueTimeout: queueTimeout === undefined ? DEFAULT_TIMEOUT : queueTimeout,
  };
}

/** @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a bad setting of our own, or one by a former name */
function checkSettings(settings, defaults) {
  for (const [name, newName] of RENAMED_SETTINGS) {
    if (settings[name] === undefined) continue;
    const reason = `has been renamed to settings.${newName}`;
    throw errors.invalidArgValue(`settings.${name}`, settings[name], reason);
  }
  const { handOverIdle, killMode, ...timeouts } = ownSettings(settings, defaults);
  if (typeof handOverIdle !== 'boolean') {
    throw errors.invalidArgValue('settings.handOverIdle', handOverIdle, 'must be a boolean');
  }
  if (!KILL_MODES.includes(killMode)) {
    const reason = `must be one of: 'graceful', 'immediate'`;
    throw errors.invalidArgValue('settings.killMode', killMode, reason);
  }
  for (const [name, timeout] of Object.entries(timeouts)) {
    checkTimeout(`settings.${name}`, timeout);
  }
}

/** @throws {TypeError} `ERR_INVALID_ARG_VALUE` for a bad time in milliseconds */
function checkTimeout(name, timeout) {
  if (!(Number.isInteger(timeout) && timeout >= 0 && timeout <= LONGEST_TIMEOUT)) {
    const reason = `must be a whole number from 0 to ${LONGEST_TIMEOUT}`;
    throw errors.invalidArgValue(name, timeout, reason);
  }
}

module.exports = { LONGEST_TIMEOUT, checkSettings, checkTimeout, mergeSettings, ownSettings };
