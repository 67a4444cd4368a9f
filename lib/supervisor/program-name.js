'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { toPath } = require('../node/fork-options.js');

// It becomes the name of a file, and a label of metrics.
const UNFIT = /[^A-Za-z0-9._-]+/g;
const MOST_CHARACTERS = 64;

/**
 * By what operators know a program: the name in its package.json without the scope, or else that of its file.
 *
 * @param {string | Uint8Array | URL} exec the program
 * @param {object} options
 * @param {string} [options.directory] in which the program lives
 * @param {object} options.settings whose `exec` is relative to their `cwd`, and that to the directory
 */
function programName({ directory = '', settings: { exec, cwd } }) {
  const folder = cwd ? String(toPath(cwd)) : '';
  const file = path.resolve(directory, folder, String(toPath(exec)));
  return fit(packageName(path.dirname(file)) ?? path.parse(file).name) || 'program';
}

/** The name as it may be. */
function fit(name) {
  return name
    .replace(UNFIT, '-')
    .replace(/^[.-]+/, '')
    .slice(0, MOST_CHARACTERS);
}

/** In the nearest package.json that is there; a file without a name does not count as one. */
function packageName(folder) {
  try {
    const { name } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    if (typeof name === 'string' && name !== '') return name.replace(/^@[^/]*\//, '');
  } catch {
    // There is none, or it is not for us to say what is wrong with it.
  }
  const parent = path.dirname(folder);
  return parent === folder ? undefined : packageName(parent);
}

module.exports = { fit, programName };
