'use strict';

const { accessSync, constants, readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const { CliError } = require('./errors.js');

const COMMON = /\.c?js$/;
const CHECKED = /\.[cm]?js$/;
/** Options by which a program may be of a language that only its own loader knows. */
const LOADING =
  /^(?:-r|--require|--import|--loader|--experimental-(?:loader|strip-types|transform-types))\b/;

/**
 * Finds a program as Node does: a file, with or without its extension, or the directory of a package.
 *
 * @param {string} given as in the command line
 * @param {string} directory that it is relative to
 * @returns {string} the path to start, by the links that were given
 */
function findProgram(given, directory) {
  const place = path.resolve(directory, given);
  try {
    accessSync(require.resolve(place), constants.R_OK);
  } catch (error) {
    throw explain(error, given, place);
  }
  return place;
}

function explain({ code, message }, given, place) {
  if (code === 'ERR_ACCESS_DENIED' || code === 'EACCES') {
    return new CliError(`${given} can't be read (${code})`, {
      hint: 'Check its permissions',
      code,
    });
  }
  if (code !== 'MODULE_NOT_FOUND') return new CliError(`${given}: ${message}`, { code });
  const stat = statSync(place, { throwIfNoEntry: false });
  if (stat?.isDirectory()) {
    const hint = 'Name a file of it, or give its package.json a "main"';
    return new CliError(`${given} is a directory without a program`, { hint, code });
  }
  const hint = `Looked for ${place}`;
  return new CliError(`there is no program ${given}`, { hint, code: 'ENOENT' });
}

/**
 * Finds syntax errors before workers meet them again and again. The program does not run.
 *
 * @param {string} place as `findProgram()` returns it
 * @param {string[]} execArgv of the workers
 */
function checkSyntax(place, execArgv) {
  const file = require.resolve(place);
  const options = [...execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)];
  if (!CHECKED.test(file) || options.some((it) => LOADING.test(it))) return;
  if (COMMON.test(file) && isCommonModule(file)) return;
  const { spawnSync } = require('node:child_process');
  const { status, stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' });
  const [, error] = /^(SyntaxError.*)$/m.exec(stderr ?? '') ?? [];
  if (status === 0 || error === undefined) return;
  const [line] = stderr.split('\n');
  throw new CliError(`${line.startsWith('/') ? line : file}: ${error}`, {
    code: 'ERR_RS_CLUSTER_SYNTAX',
  });
}

/** Whether it is valid without `import` and `export`. Compiles in a moment, where `node --check` takes 50 ms. */
function isCommonModule(file) {
  const names = ['exports', 'require', 'module', '__filename', '__dirname'];
  try {
    const source = readFileSync(file, 'utf8').replace(/^#!.*/, '');
    require('node:vm').compileFunction(source, names);
    return true;
  } catch {
    return false;
  }
}

module.exports = { checkSyntax, findProgram };
