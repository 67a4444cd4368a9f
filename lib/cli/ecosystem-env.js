'use strict';

// The environment of an application of PM2's ecosystem file.

const ConfigError = require('./config-error.js');

/**
 * The variables on top of those of the primary. Later ones replace earlier ones: `deploy.NAME.env`, `env`, `port`,
 * `env_NAME`. Those that `filter_env` takes from the environment of the primary are undefined.
 *
 * @param {object} app its fields by their names in PM2's schema
 * @param {Record<string, unknown>} environments its `env_NAME`
 * @param {string} [name] what `--env` says
 * @param {object} [deploy] the section of the file
 * @param {(warning: string) => void} warn
 * @returns {Record<string, string | undefined>}
 * @throws {ConfigError}
 */
function environmentOf(app, environments, name, deploy, warn) {
  const own = { ...variables('env', app.env) };
  if (app.port !== undefined) own.PORT = String(app.port);
  const all = { ...filtered(app.filter_env), ...fromDeploy(deploy, name), ...own };
  if (name === undefined) return all;
  const field = `env_${name}`;
  if (!Object.hasOwn(environments, field)) {
    warn(`--env ${name}: the application has no ${field}, only ${list(environments)}`);
    return all;
  }
  return { ...all, ...variables(field, environments[field]) };
}

/** The values as text; PM2 passes objects as JSON. */
function variables(field, given = {}) {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new ConfigError(`${field}: ${JSON.stringify(given)} is not an object of variables`);
  }
  const pairs = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(pairs.map(([name, value]) => [name, toText(value)]));
}

function toText(value) {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function fromDeploy(deploy, name) {
  const given = name === undefined ? undefined : deploy?.[name]?.env;
  return given === undefined ? {} : variables(`deploy.${name}.env`, given);
}

/** True takes all variables, a text one, an array all whose names contain one of its texts. */
function filtered(filter) {
  if (filter === undefined || filter === false) return {};
  const names = Object.keys(process.env).filter((name) => {
    if (filter === true) return true;
    return typeof filter === 'string' ? name === filter : filter.some((it) => name.includes(it));
  });
  return Object.fromEntries(names.map((name) => [name, undefined]));
}

function list(environments) {
  const names = Object.keys(environments).filter(
    (name) => environments[name] !== null && typeof environments[name] === 'object',
  );
  return ['env', ...names].join(', ');
}

module.exports = { environmentOf };
