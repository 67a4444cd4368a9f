'use strict';

const { execFileSync } = require('node:child_process');
const { UserError } = require('./user-error.js');

/** The version of a Node binary that the user named by `--node`: `v20.19.0`. */
function versionOf(node) {
  try {
    const output = execFileSync(node, ['-p', 'process.version'], { timeout: 10_000 });
    return output.toString().trim();
  } catch (error) {
    throw new UserError(`--node ${node}: ${error.message}`);
  }
}

module.exports = { versionOf };
