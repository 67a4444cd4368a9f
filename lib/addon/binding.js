'use strict';

// Loads the addon: the one that `npm run build` has put into lib/, or else the one in the package of prebuilt
// binaries for this platform, which npm installs as an optional dependency.

const { createRequire } = require('node:module');
const { chosen, examine, targetOf } = require('./binary.js');
const errors = require('../errors.js');
const { targets, version } = require('./release.js');

const PREFIX = 'rs-cluster-';

// Bundlers would replace `require`, or fail because they can't tell which file it loads. In a bundle that is
// an ES module, there is no `__filename`.
const requireFile = typeof __filename === 'string' ? createRequire(__filename) : undefined;

// What glibc and musl say of a file that the system does not allow to execute.
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
  // In a worker, the primary has chosen it.
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

/** The addon's file; undefined if there is none. */
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
      const actual = binding.Engine.version();
      if (actual === version) return binding;
      reason = `it is that of version ${actual}, and this is ${version}`;
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
