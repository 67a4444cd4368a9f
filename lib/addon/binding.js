'use strict';

// The addon: the one that `npm run build` has put beside this file, or else that of the package of
// prebuilt binaries for this platform, which npm installs as an optional dependency.

const { createRequire } = require('node:module');
const { chosen, examine, targetOf } = require('./binary.js');
const errors = require('../errors.js');
const { targets, version } = require('./release.js');

const PREFIX = 'rs-cluster-';

// Bundlers would replace `require`, or ask which file it is for. In a bundle that is an ES module there is
// no file name.
const requireFile = typeof __filename === 'string' ? createRequire(__filename) : undefined;

// What glibc and musl say of a file that must not be mapped as a program.
const UNMAPPABLE = /failed to map segment|Operation not permitted|Permission denied/;

const BUILD =
  'To build it, run `npm install && npm run build && npm link` in a clone of the repository, with ' +
  'Rust and a C compiler, then `npm link rs-cluster` where it is used';

function load() {
  if (requireFile === undefined) throw errors.bundled();
  if (process.platform === 'win32') {
    throw errors.loading(
      'ERR_RS_CLUSTER_UNSUPPORTED_PLATFORM',
      'rs-cluster does not support Windows: its engine needs Unix sockets that carry descriptors. ' +
        "Use require('node:cluster') there.",
    );
  }
  // Of a worker, the primary has found it.
  chosen.file ??= find(targetOf(process));
  if (chosen.file !== undefined) return open(chosen.file);
  const target = targetOf(process);
  if (!targets.includes(target)) {
    throw errors.loading(
      'ERR_RS_CLUSTER_UNSUPPORTED_PLATFORM',
      `rs-cluster has no binary for this platform, ${target}; there are those for ` +
        `${targets.join(', ')}. ${BUILD}.`,
    );
  }
  throw errors.loading(
    'ERR_RS_CLUSTER_NO_BINARY',
    `rs-cluster finds no binary for this platform: the package ${PREFIX}${target}, or the file in ` +
      'it, is not there. npm installs it as an optional dependency, unless told --omit=optional or ' +
      '--no-optional, or by a node_modules or a lock file that was made on another platform: delete ' +
      `both, and install again. A bundler has to leave rs-cluster out (as an external). ${BUILD}.`,
  );
}

/** The addon's file: our own, or else that of the package. */
function find(target) {
  for (const specifier of [`../rs-cluster.${target}.node`, `${PREFIX}${target}`]) {
    try {
      return requireFile.resolve(specifier);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

function open(file) {
  let reason;
  let cause;
  try {
    reason = examine(file, process);
    if (reason === undefined) {
      const binding = requireFile(file);
      const its = binding.Engine.version();
      if (its === version) return binding;
      reason = `it is that of version ${its}, and this is ${version}`;
    }
  } catch (error) {
    if (error.code === 'ERR_DLOPEN_DISABLED') throw errors.addonsRefused(error);
    reason = error.message;
    cause = error;
    if (error.code === 'ERR_DLOPEN_FAILED' && UNMAPPABLE.test(reason))
      throw errors.unmappable(file, error);
  }
  throw errors.loading(
    'ERR_RS_CLUSTER_BAD_BINARY',
    `rs-cluster can't load its binary on ${targetOf(process)}: ${reason} (${file}). Delete ` +
      `node_modules, and install again, on this platform. ${BUILD}.`,
    cause,
  );
}

module.exports = load();
