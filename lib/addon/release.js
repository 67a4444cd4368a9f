'use strict';

// What package.json says too, which not every module loader or bundler can load. `npm version` keeps the two
// the same (scripts/version.js).

module.exports = {
  version: '0.1.0',
  /** The platforms with a package of prebuilt binaries. */
  targets: [
    'darwin-arm64',
    'darwin-x64',
    'linux-arm64-gnu',
    'linux-arm64-musl',
    'linux-x64-gnu',
    'linux-x64-musl',
  ],
};
