'use strict';

// How workers come to load our preload before anything else.

const { accessSync, constants } = require('node:fs');
const { URL, fileURLToPath, pathToFileURL } = require('node:url');
const { chosen } = require('../addon/binary.js');
const errors = require('../errors.js');
const { quote } = require('./node-options.js');

// With `path.join()`, ncc would copy the file into its bundle, without the others that it loads.
const FILE = fileURLToPath(new URL('../../preload.js', pathToFileURL(__filename)));
const VARIABLE = 'RS_CLUSTER_WORKER=';
const OPTIONS = 'NODE_OPTIONS=';
// Of environment files, and of configuration files.
const OPTIONS_FILE = /^--(?:env-file|[\w-]*config[-_]file)/;

const isSingleExecutable = isSea();

/**
 * Here, once, rather than in every worker.
 *
 * @throws `ERR_RS_CLUSTER_NO_PRELOAD`
 */
function check() {
  try {
    accessSync(FILE, constants.R_OK);
  } catch (error) {
    // This process may have dropped the permission to read it, which workers still have.
    if (error.code === 'ERR_ACCESS_DENIED') return;
    throw errors.loading(
      'ERR_RS_CLUSTER_NO_PRELOAD',
      `fork() needs the file ${FILE}, which workers load first, and can't read it: ` +
        `${error.message}. A bundler has to leave rs-cluster out (as an external).`,
      error,
    );
  }
}

/** Whether a worker may have options in a file, which Node ignores where the environment has some. */
function mayHaveOptionsFile(args) {
  const end = args.indexOf('--');
  // Node looks for those of `--env-file` among all arguments, also those of the program.
  return args.slice(0, end === -1 ? args.length : end).some((arg) => OPTIONS_FILE.test(arg));
}

/**
 * Makes the worker load our preload first of all, so that even the user's own preloads find the
 * cluster in place; only those that a file of options names come before ours. The preload takes all
 * this out again.
 *
 * @param {string[]} args the command line of the worker
 * @param {string[]} envPairs its environment
 * @param {object} worker what the preload has to know
 */
function addTo(args, envPairs, worker) {
  const given = envPairs.find(isOptions)?.slice(OPTIONS.length);
  const inEnvironment = given !== undefined || isSingleExecutable || !mayHaveOptionsFile(args);
  const replaced = inEnvironment ? { NODE_OPTIONS: given ?? null } : {};
  const known = { ...worker, preload: FILE, binary: chosen.file, replaced };
  const env = envPairs.filter((pair) => !isOptions(pair) && !pair.startsWith(VARIABLE));
  env.push(`${VARIABLE}${JSON.stringify(known)}`);
  if (inEnvironment) env.push(`${OPTIONS}--require ${quote(FILE)} ${given ?? ''}`.trimEnd());
  const [argv0, ...rest] = args;
  // By arguments too, because Node heeds no NODE_OPTIONS in a program with privileges of its own.
  return { args: isSingleExecutable ? args : [argv0, '--require', FILE, ...rest], env };
}

function isOptions(pair) {
  return pair.startsWith(OPTIONS);
}

/** An application with Node in one file: all arguments are those of its program. */
function isSea() {
  try {
    return require('node:sea').isSea();
  } catch {
    // Node 18 does not have this module.
    return false;
  }
}

module.exports = { addTo, check };
