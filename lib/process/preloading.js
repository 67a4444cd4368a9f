'use strict';

// Makes workers load our preload before anything else.

const { accessSync, constants } = require('node:fs');
const { URL, fileURLToPath, pathToFileURL } = require('node:url');
const { chosen } = require('../addon/binary.js');
const errors = require('../errors.js');
const { quote } = require('./node-options.js');

// If this used `path.join()`, ncc would copy the file into its bundle, without the files that it loads.
const FILE = fileURLToPath(new URL('../../preload.js', pathToFileURL(__filename)));
/** The files that workers load from this package. */
const original = () => ({ preload: FILE, binary: chosen.file });
const VARIABLE = 'RS_CLUSTER_WORKER=';
const OPTIONS = 'NODE_OPTIONS=';
// Options that name environment files or configuration files.
const OPTIONS_FILE = /^--(?:env-file|[\w-]*config[-_]file)/;

const isSingleExecutable = isSea();

/**
 * Checks that workers can load the preload: here, once, rather than in every worker.
 *
 * @throws `ERR_RS_CLUSTER_NO_PRELOAD`
 */
function check(file = FILE) {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    // This process may have dropped the permission to read the file, while its workers still have it.
    if (error.code === 'ERR_ACCESS_DENIED') return;
    throw errors.loading(
      'ERR_RS_CLUSTER_NO_PRELOAD',
      `fork() needs the file ${file}, which workers load first, and can't read it: ` +
        `${error.message}. A bundler has to leave rs-cluster out (as an external).`,
      error,
    );
  }
}

/**
 * Whether a worker may read NODE_OPTIONS from a file. Node ignores them if the environment has that variable.
 */
function mayHaveOptionsFile(args) {
  const end = args.indexOf('--');
  // Node finds `--env-file` among the arguments of the program too.
  return args.slice(0, end === -1 ? args.length : end).some((arg) => OPTIONS_FILE.test(arg));
}

/**
 * Adds our preload to the command line and the environment of a worker, so that it is loaded first: the
 * user's own preloads then find the cluster in place, except for those that a file names. The preload removes
 * all this again.
 *
 * @param {string[]} args the command line of the worker
 * @param {string[]} envPairs its environment
 * @param {object} worker what the preload has to know
 * @param {{ preload: string, binary: string }} [files] the preload and the addon, if not those in use here
 */
function addTo(args, envPairs, worker, files = original()) {
  const given = envPairs.find(isOptions)?.slice(OPTIONS.length);
  const inEnvironment = given !== undefined || isSingleExecutable || !mayHaveOptionsFile(args);
  const replaced = inEnvironment ? { NODE_OPTIONS: given ?? null } : {};
  const known = { ...worker, ...files, replaced };
  const env = envPairs.filter((pair) => !isOptions(pair) && !pair.startsWith(VARIABLE));
  env.push(`${VARIABLE}${JSON.stringify(known)}`);
  if (inEnvironment) {
    env.push(`${OPTIONS}--require ${quote(files.preload)} ${given ?? ''}`.trimEnd());
  }
  const [argv0, ...rest] = args;
  // As an argument too, because a Node binary with privileges of its own ignores NODE_OPTIONS.
  return { args: isSingleExecutable ? args : [argv0, '--require', files.preload, ...rest], env };
}

function isOptions(pair) {
  return pair.startsWith(OPTIONS);
}

/** Whether this is an application with Node in one file, whose arguments all belong to the application. */
function isSea() {
  try {
    return require('node:sea').isSea();
  } catch {
    // Node 18 does not have this module.
    return false;
  }
}

module.exports = { addTo, check, isSingleExecutable, original };
