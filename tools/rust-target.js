'use strict';

const { existsSync } = require('node:fs');
const { runTool } = require('./run-tool.js');

/** Resolves to whether the installed Rust compiler has the standard library of a target. */
async function hasStandardLibrary(target) {
  const directory = await runTool('rustc', ['--print', 'target-libdir', '--target', target]);
  return existsSync(directory.trim());
}

module.exports = { hasStandardLibrary };
