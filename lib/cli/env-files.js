'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { parseEnv } = require('node:util');
const { CliError, usageError } = require('./errors.js');

/**
 * The option `env` of `supervise()` for files of variables, which are read at each reload. As for Node's own option of
 * this name, variables that the environment has already stay as they are.
 *
 * @param {string[]} files
 * @param {object | (() => object)} [others] variables that override those of the files
 */
function environmentOf(files, others) {
  if (parseEnv === undefined) {
    const hint = `This is Node ${process.versions.node}`;
    throw usageError('--env-file needs Node 20.12 or newer', hint);
  }
  const places = files.map((file) => path.resolve(file));
  const known = new Set(ownNames());
  const read = () => {
    const all = places.map((place) => parseEnv(readFileSync(place, 'utf8')));
    const found = Object.entries(Object.assign({}, ...all));
    const fresh = Object.fromEntries(found.filter(([name]) => !known.has(name)));
    return { ...fresh, ...(typeof others === 'function' ? others() : others) };
  };
  try {
    read();
  } catch ({ message, code }) {
    throw new CliError(`--env-file: ${message}`, { code });
  }
  return read;
}

/**
 * The variables that this process was started with. Node looks for `--env-file` among the arguments of a program as
 * well, so `process.env` may have those of the files already.
 */
function ownNames() {
  try {
    const variables = readFileSync('/proc/self/environ', 'utf8').split('\0');
    return variables.map((it) => it.split('=', 1)[0]);
  } catch {
    return Object.keys(process.env);
  }
}

module.exports = environmentOf;
