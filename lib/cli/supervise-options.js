'use strict';

// From the options of the command line to those of `supervise()`.

const { statSync } = require('node:fs');
const path = require('node:path');
const { CliError, EXIT, usageError } = require('./errors.js');
const { checkSyntax, findProgram } = require('./program.js');
const environmentOf = require('./env-files.js');
const { POLICIES, RUN_OPTIONS } = require('./run-options.js');
const { listed } = require('./values.js');

const CONFIG = /^ecosystem\.config\.(?:[cm]?js|json)$|^(?:ecosystem|pm2)\.json$/;

/**
 * @param {string} command `run` or one with the same options
 * @param {object} values of RUN_OPTIONS, as `parse()` returns them
 * @param {string[]} positionals the program and its arguments
 * @returns {Promise<{ options: object, policy?: string, slotEnv: object[], warnings: string[] }>} `policy` is the
 *   name of a member of `cluster`
 */
async function toSuperviseOptions(command, values, positionals) {
  const { program, args, config } = await sourcesOf(command, values, positionals);
  const options = { ...config.options, ...ofValues(values) };
  const place = findProgram(program, options.directory ?? currentDirectory());
  checkWorkingDirectory(options);
  const nodeArgs = [...(values['node-args'] ?? []), ...(values['exec-argv'] ?? [])].flat();
  const execArgv = [...process.execArgv, ...(options.execArgv ?? []), ...nodeArgs];
  checkSyntax(place, execArgv);
  const files = values['env-file'];
  const env = files === undefined ? options.env : environmentOf(files, options.env);
  const policy = values.policy ?? config.policy;
  return {
    options: { ...options, exec: place, args, execArgv, env },
    policy: policy === undefined ? undefined : policyOf(policy),
    slotEnv: config.slotEnv ?? [],
    warnings: config.warnings ?? [],
  };
}

function checkWorkingDirectory({ cwd, directory = '' }) {
  if (cwd === undefined) return;
  const place = path.resolve(directory, cwd);
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory()) return;
  throw usageError(`--cwd ${cwd} is not a directory`, `Looked for ${place}`);
}

/** The program and its arguments, from the command line or a configuration file. */
async function sourcesOf(command, { config: file, only, env }, [given, ...rest]) {
  const isFile = file === undefined && given !== undefined && CONFIG.test(path.basename(given));
  const place = isFile ? given : file;
  if (place === undefined) {
    const needs = Object.entries({ only, env }).find(([, value]) => value !== undefined);
    if (needs) throw usageError(`--${needs[0]} needs --config FILE`);
    if (given === undefined) throw noProgram(command);
    return { program: given, args: rest, config: {} };
  }
  const config = await require('./config.js').loadConfig(place, { only, env });
  const program = isFile ? config.program : (given ?? config.program);
  if (program === undefined) throw noProgram(command);
  return { program, args: rest.length > 0 ? rest : (config.args ?? []), config };
}

function noProgram(command) {
  const usage = `Usage: rs-cluster ${command} [options] PROGRAM [args…]`;
  return usageError(`${command} needs a PROGRAM`, usage);
}

function policyOf(name) {
  if (Object.hasOwn(POLICIES, name)) return POLICIES[name];
  throw usageError(`policy is ${listed(Object.keys(POLICIES))}, not '${name}'`);
}

function ofValues(values) {
  const given = RUN_OPTIONS.filter(
    ({ key, name }) => key !== undefined && values[name] !== undefined,
  );
  return Object.fromEntries(
    given.map(({ key, name, set }) => [key, set === undefined ? values[name] : set]),
  );
}

/** The current directory by the name that the shell has for it. */
function currentDirectory() {
  const Directory = require('../supervisor/directory.js');
  return new Directory().path;
}

/** An error of `supervise()` for an option, by the name that the option has here. */
function explainOption(error) {
  if (/^ERR_RS_CLUSTER_(?:CONTROL|ADMIN)/.test(error.code)) {
    const message = error.message
      .replace(/the option name or control\b/, '--name or --control')
      .replace(/the option (control|admin|name)\b/, '--$1');
    return new CliError(message, { code: error.code });
  }
  if (!/^ERR_(?:INVALID_ARG|OUT_OF_RANGE)/.test(error.code)) return error;
  const message = error.message
    .replace(/The (?:value of )?"(?:options|settings)\.(\w+)"( property)?/, (_all, key) =>
      optionOf(key),
    )
    .replace(/ is out of range\. It must/, ' must')
    .replace(/>= (\S+) && <= (\S+)\./, 'from $1 to $2.')
    .replaceAll(/\boptions\.(\w+):?/g, (_all, key) => optionOf(key));
  return new CliError(message, { exitCode: EXIT.usage, code: error.code });
}

function optionOf(key) {
  return `--${RUN_OPTIONS.find((it) => it.key === key)?.name ?? key}`;
}

module.exports = { explainOption, toSuperviseOptions };
