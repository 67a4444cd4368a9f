'use strict';

const errors = require('../errors.js');
const { checkObject, checkPath, checkStrings, checkTime } = require('./checks.js');

/** How long an upgrade may take until the successor serves, in milliseconds. */
const DEFAULT_TIMEOUT = 120_000;

const CHECKS = {
  directory: checkPath,
  execPath: checkPath,
  execArgv: checkArguments,
  args: checkProgram,
  env: checkObject,
  timeout: (name, value) => checkTime(name, value, 1),
};

/**
 * Checks the options of `upgrade()`, and adds the defaults.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`, and names the option
 */
function checkUpgrade(options) {
  checkObject('options', options);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!Object.hasOwn(CHECKS, name)) {
      throw errors.invalidArgValue(`options.${name}`, value, 'is unknown to upgrade()');
    }
    CHECKS[name](`options.${name}`, value);
  }
  return { timeout: DEFAULT_TIMEOUT, ...Object.fromEntries(given) };
}

function checkArguments(name, value) {
  checkStrings(name, value);
  for (const [index, member] of value.entries()) {
    if (!member.includes('\0')) continue;
    throw errors.invalidArgValue(`${name}[${index}]`, member, 'must be without null bytes');
  }
}

/** Without a program, Node would read one from the standard input. */
function checkProgram(name, value) {
  checkArguments(name, value);
  if (value.length > 0) return;
  throw errors.invalidArgValue(name, value, 'must begin with the program');
}

module.exports = checkUpgrade;
