'use strict';

// From the options of the command line to those of `supervise()`.

const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { CliError, EXIT, usageError } = require('./errors.js');
const { checkSyntax, findProgram } = require('./program.js');
const { POLICIES, RUN_OPTIONS } = require('./run-options.js');

const CONFIG = /^ecosystem\.config\.(?:[cm]?js|json)$|^(?:ecosystem|pm2)\.json$/;

/**
 * @param {object} values of RUN_OPTIONS, as `parse()` returns them
 * @param {string[]} positionals the program and its arguments
 * @returns {{ options: object, policy?: string, warnings: string[], prefix: boolean, log: string | false }}
 */
function toSuperviseOptions(values, [given, ...args]) {
  const config = configOf(values, given);
  const isConfig = config !== undefined;
  const options = { ...config?.options, ...ofValues(values) };
  const place = isConfig ? config.program : findProgram(given, options.directory ?? directory());
  options.exec = place;
  options.args = isConfig && config.args !== undefined && args.length === 0 ? config.args : args;
  const nodeArgs = [...(values['node-args'] ?? []), ...(values['exec-argv'] ?? [])].flat();
  options.execArgv = [...process.execArgv, ...(options.execArgv ?? []), ...nodeArgs];
  if (values['env-file'] !== undefined) options.env = environment(values['env-file'], options.env);
  checkSyntax(place, options.execArgv);
  const { log = 'text', prefix = false, policy } = values;
  return {
    options,
    policy: policy && POLICIES[policy],
    warnings: config?.warnings ?? [],
    prefix,
    log: log === 'none' ? false : log,
  };
}

function ofValues(values) {
  const given = RUN_OPTIONS.filter(
    ({ key, name }) => key !== undefined && values[name] !== undefined,
  );
  return Object.fromEntries(
    given.map(({ key, name, set }) => [key, set === undefined ? values[name] : set]),
  );
}

/** What the file of `--config` says, or a program that is such a file; undefined if there is none. */
function configOf({ config, only, env }, given) {
  const isProgram = given !== undefined && CONFIG.test(path.basename(given));
  const file = config ?? (isProgram ? given : undefined);
  if (file === undefined) {
    if (given === undefined)
      throw usageError('run needs a PROGRAM', 'Usage: rs-cluster run [options] PROGRAM [args…]');
    const needs = ['only', 'env'].find((name) => ({ only, env })[name] !== undefined);
    if (needs) throw usageError(`--${needs} needs --config FILE`);
    return undefined;
  }
  const place = path.resolve(file);
  if (!existsSync(place)) throw new CliError(`there is no file ${file}`, { code: 'ENOENT' });
  const loaded = require('./config.js').loadConfig(place, { only, env });
  return { ...loaded, program: findProgram(loaded.program, directory()) };
}

/** The current directory by the name that the shell has for it. */
function directory() {
  const Directory = require('../supervisor/directory.js');
  return new Directory().path;
}

/** The option `env`, which is asked at each reload. As in Node, variables that there are already stay. */
function environment(files, others) {
  const { parseEnv } = require('node:util');
  if (parseEnv === undefined) {
    throw usageError(
      '--env-file needs Node 20.12 or newer',
      `This is Node ${process.versions.node}`,
    );
  }
  const places = files.map((file) => path.resolve(file));
  const read = () => {
    const all = places.map((place) => parseEnv(readFileSync(place, 'utf8')));
    const found = Object.entries(Object.assign({}, ...all));
    const fresh = Object.fromEntries(found.filter(([name]) => process.env[name] === undefined));
    return { ...fresh, ...(typeof others === 'function' ? others() : others) };
  };
  try {
    read();
  } catch ({ message, code }) {
    throw new CliError(`--env-file: ${message}`, { code });
  }
  return read;
}

/** An error of `supervise()` for an option, by the name that the option has here. */
function explainOption(error) {
  if (!/^ERR_(?:INVALID_ARG|OUT_OF_RANGE)/.test(error.code)) return error;
  const message = error.message
    .replace(/The (?:value of )?"(?:options|settings)\.(\w+)"( property)?/, (_all, key) =>
      optionOf(key),
    )
    .replace(/ is out of range\. It must/, ' must')
    .replaceAll(/\boptions\.(\w+)/g, (_all, key) => optionOf(key));
  return new CliError(message, { exitCode: EXIT.usage, code: error.code });
}

function optionOf(key) {
  return `--${RUN_OPTIONS.find((it) => it.key === key)?.name ?? key}`;
}

module.exports = { explainOption, toSuperviseOptions };
