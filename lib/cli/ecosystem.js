'use strict';

// PM2's ecosystem file: which application of it to run, and what its fields are for `supervise()`.

const path = require('node:path');
const { findGroup, findUser } = require('./accounts.js');
const ConfigError = require('./config-error.js');
const { environmentOf } = require('./ecosystem-env.js');
const { UNUSED, USED, isNamedEnvironment, nameOf } = require('./ecosystem-fields.js');
const supervisionOf = require('./ecosystem-options.js');
const { checkInterpreter, findScript } = require('./ecosystem-script.js');
const { checkType, toWords } = require('./ecosystem-values.js');
const { didYouMean } = require('./suggest.js');
const { fit } = require('../supervisor/program-name.js');

const SECTIONS = {
  deploy: 'deploy by another tool, which then runs "rs-cluster reload"',
  static: 'let nginx, Caddy or the npm package "serve" serve files',
};
const SCRIPTS = ['script', 'cmd', 'command'];
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Whether a file is for PM2, and not of rs-cluster's own kind. */
function isEcosystem(config) {
  if (Array.isArray(config) || config.apps !== undefined || config.pm2 !== undefined) return true;
  if (config.program !== undefined) return false;
  const names = Object.keys(config);
  // Each kind may call the program `exec`; PM2's other names are in snake case.
  return names.some((name) => SCRIPTS.includes(name) || name === 'instances' || /_/.test(name));
}

/**
 * @param {object | object[]} config what the file says
 * @param {object} given
 * @param {string} given.file
 * @param {string} [given.only] the name of the application
 * @param {string} [given.env] its environment
 * @throws {ConfigError}
 */
function fromEcosystem(config, { file, only, env }) {
  const warnings = [];
  const warn = (warning) => warnings.push(warning);
  const { apps, deploy } = sections(config, warn);
  const app = pick(apps, only);
  const { fields, environments } = sort(app, warn);
  return { ...translate(fields, { environments, deploy, env, file, warn }), warnings };
}

function sections(config, warn) {
  if (Array.isArray(config)) return { apps: config };
  const { apps, pm2, ...others } = config;
  const given = apps ?? pm2;
  if (given === undefined) return { apps: [config] };
  for (const name of Object.keys(others)) {
    warn(`${name}: ${SECTIONS[name] ?? 'is unknown to PM2 and to rs-cluster'}`);
  }
  return { apps: Array.isArray(given) ? given : [given], deploy: config.deploy };
}

function pick(apps, only) {
  if (apps.length === 0) throw new ConfigError('the file has no application');
  for (const app of apps) {
    if (app === null || typeof app !== 'object' || Array.isArray(app)) {
      throw new ConfigError(`an application is an object, not ${JSON.stringify(app)}`);
    }
  }
  const names = apps.map(nameOfApplication).join(', ');
  if (only === undefined) {
    if (apps.length === 1) return apps[0];
    throw new ConfigError(
      `the file has ${apps.length} applications: ${names}`,
      'Choose one by --only NAME; each is a command, a unit or a container of its own',
    );
  }
  const found = apps.filter((app) => nameOfApplication(app) === only);
  if (found.length === 1) return found[0];
  throw new ConfigError(
    `--only ${only}: ${found.length === 0 ? 'no application' : `${found.length} applications`} of that name`,
    `The file has ${names}`,
  );
}

/** The base name of the script without extension, if it has no name, as in PM2. */
function nameOfApplication(app) {
  const { name, script, exec, cmd, command } = app;
  const program = script ?? exec ?? cmd ?? command;
  if (name !== undefined) return String(name);
  return program === undefined ? '(without a script)' : path.parse(String(program)).name;
}

/** The fields by their names in PM2's schema, and the environments; warns of fields that have no effect. */
function sort(app, warn) {
  const fields = {};
  const environments = {};
  for (const [field, value] of Object.entries(app)) {
    const name = nameOf(field);
    if (value === undefined || value === null) continue;
    if (name === undefined && isNamedEnvironment(field)) environments[field] = value;
    else if (name === undefined) warn(unknown(field));
    else if (UNUSED[name]) warnOfUnused(field, value, UNUSED[name], warn);
    else if (field === name || fields[name] === undefined) {
      fields[name] = checkType(field, value, USED[name]);
    }
  }
  return { fields, environments };
}

function unknown(field) {
  const hint = didYouMean(field, [...Object.keys(USED), ...Object.keys(UNUSED)]);
  return `${field}: is unknown to PM2 and to rs-cluster${hint ? `. ${hint}` : ''}`;
}

function warnOfUnused(field, value, { advice, silent = [] }, warn) {
  if (!silent.includes(value)) warn(`${field}: has no effect: ${advice}`);
}

function translate(fields, { environments, deploy, env, file, warn }) {
  if (!fields.script) throw new ConfigError('the application has no script');
  checkInterpreter(fields.exec_interpreter);
  const cwd = path.resolve(fields.cwd ?? '.');
  const program = findScript(fields.script, cwd, file);
  const args = fields.args === undefined ? [] : toWords(fields.args);
  const variables = environmentOf(fields, environments, env, deploy, warn);
  const { home, ...account } = accountOf(fields);
  if (home !== undefined) variables.HOME = home;
  const options = {
    name: nameFor(fields, env, warn),
    exec: program,
    args,
    execArgv: execArgvOf(fields),
    ...(fields.cwd !== undefined && { directory: cwd }),
    env: variables,
    ...account,
    ...supervisionOf(fields, warn),
  };
  return { program, args, options, slotEnv: slotEnvOf(fields, variables) };
}

/** The name of the control socket, and a label of metrics, which can't have all characters. */
function nameFor(fields, env, warn) {
  const given = nameOfApplication(fields);
  const full = fields.append_env_to_name && env !== undefined ? `${given}-${env}` : given;
  const name = fit(full);
  if (name === full) return name;
  if (name === '') throw new ConfigError(`name: "${full}" has no letter or digit`);
  warn(`name: "${full}" is ${name} here: that is what --name takes`);
  return name;
}

/** PM2 reads source maps by a package, Node by itself. */
function execArgvOf({ node_args, source_map_support, disable_source_map_support }) {
  const given = node_args === undefined ? [] : toWords(node_args);
  const readsMaps = source_map_support === true && disable_source_map_support !== true;
  return readsMaps ? [...given, '--enable-source-maps'] : given;
}

/** The group is that of the user, if there is no other. */
function accountOf({ uid, gid }) {
  const group = gid === undefined ? undefined : findGroup(gid);
  if (uid === undefined) return group === undefined ? {} : { gid: group };
  const user = findUser(uid);
  return { ...user, gid: group ?? user.gid };
}

/** The variables that differ from slot to slot: their names, and the values in slot 0. */
function slotEnvOf({ instance_var = 'NODE_APP_INSTANCE', increment_var }, variables) {
  for (const [field, name] of Object.entries({ instance_var, increment_var })) {
    if (name === undefined || VARIABLE.test(name)) continue;
    throw new ConfigError(`${field}: "${name}" is not the name of a variable`);
  }
  const slotEnv = [{ name: instance_var, offset: 0 }];
  if (increment_var !== undefined) {
    slotEnv.push({ name: increment_var, offset: Number(variables[increment_var]) || 0 });
  }
  return slotEnv;
}

module.exports = { fromEcosystem, isEcosystem };
