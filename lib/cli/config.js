'use strict';

// Configuration files of the command line: an object of rs-cluster's own, with options of `supervise()`, or PM2's
// ecosystem file.

const readConfigFile = require('./config-file.js');
const ConfigError = require('./config-error.js');
const { fromEcosystem, isEcosystem } = require('./ecosystem.js');
const { RUN_OPTIONS } = require('./run-options.js');
const { didYouMean } = require('./suggest.js');

/** What such an object has besides options of `supervise()`. */
const OWN_NAMES = ['program', 'args', 'policy'];

/**
 * @typedef {object} Config
 * @property {string} [program] absent if the file leaves it to the command line
 * @property {unknown[]} [args] of the program
 * @property {object} options for `supervise()`, `exec` and `args` included; not checked
 * @property {{ name: string, offset: number }[]} slotEnv variables of each worker: their value is its slot plus the
 *   offset
 * @property {string} [policy] as `--policy` takes it
 * @property {string[]} warnings a line each
 */

/**
 * @param {string} file `.js`, `.cjs`, `.mjs` or `.json`, relative to the working directory
 * @param {object} [given]
 * @param {string} [given.only] the application to take from PM2's file
 * @param {string} [given.env] its environment: the fields of `env_NAME` as well
 * @returns {Promise<Config>}
 * @throws {ConfigError}
 */
async function loadConfig(file, { only, env } = {}) {
  const { value: config, isMade } = await readConfigFile(file, env);
  if (config === null || typeof config !== 'object') {
    throw new ConfigError(`${file}: it has to export an object, not ${describe(config)}`);
  }
  try {
    if (isEcosystem(config)) return fromEcosystem(config, { file, only, env });
  } catch (error) {
    if (error instanceof ConfigError) error.message = `${file}: ${error.message}`;
    throw error;
  }
  const warnings = [];
  if (only !== undefined) warnings.push(`--only ${only}: ${file} has no list of applications`);
  if (env !== undefined && !isMade) {
    warnings.push(`--env ${env}: ${file} would have to export a function, which gets this name`);
  }
  return { ...own(file, config), warnings };
}

function own(file, config) {
  const { program = config.exec, args, policy, ...options } = config;
  checkProgram(file, program);
  checkNames(file, options);
  if (program !== undefined) options.exec = program;
  if (args !== undefined) options.args = args;
  return { program, args, options, slotEnv: [], policy };
}

/** The values are checked by `supervise()`, whose errors name options as they are on the command line. */
function checkNames(file, options) {
  const { OPTION_NAMES } = require('../supervisor/options.js');
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.includes(name));
  if (unknown === undefined) return;
  const isOfCommand = RUN_OPTIONS.some(({ name }) => name === unknown);
  const hint = isOfCommand
    ? `It belongs to the command line: --${unknown}`
    : didYouMean(unknown, [...OWN_NAMES, ...OPTION_NAMES]);
  throw new ConfigError(`${file}: there is no option ${unknown}`, hint);
}

function checkProgram(file, program) {
  if (program === undefined || program instanceof URL) return;
  if (typeof program === 'string' && program !== '') return;
  throw new ConfigError(`${file}: program: ${describe(program)} is not the path of a file`);
}

function describe(value) {
  if (value === undefined) return 'undefined';
  return JSON.stringify(value) ?? String(value);
}

module.exports = { loadConfig };
