'use strict';

// The same as package.json, which not every loader of modules and not every bundler takes.
// `npm version` keeps it so (scripts/version.js).

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
