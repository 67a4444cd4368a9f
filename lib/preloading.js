'use strict';

// How workers come to load our preload before anything else.

const { accessSync, constants } = require('node:fs');
const path = require('node:path');
const { chosen } = require('./binary');
const errors = require('./errors');
const { quote } = require('./node-options');

const FILE = path.join(__dirname, '..', 'preload.js');
const VARIABLE = 'RS_CLUSTER_WORKER';

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

/**
 * Has the worker load our preload first of all, so that even the user's own preloads find the
 * cluster in place. It takes all this out again.
 */
function environment(envPairs, worker) {
  const isOurs = (pair) => pair.startsWith(`${VARIABLE}=`);
  const isOptions = (pair) => pair.startsWith('NODE_OPTIONS=');
  const nodeOptions = envPairs.find(isOptions)?.slice('NODE_OPTIONS='.length);
  return [
    ...envPairs.filter((pair) => !isOurs(pair) && !isOptions(pair)),
    `NODE_OPTIONS=--require ${quote(FILE)} ${nodeOptions ?? ''}`.trimEnd(),
    `${VARIABLE}=${JSON.stringify({ ...worker, preload: FILE, binary: chosen.file, nodeOptions })}`,
  ];
}

module.exports = { FILE, check, environment };
