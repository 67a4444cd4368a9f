'use strict';

const { mkdtempSync, realpathSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

let root;

/**
 * Makes a temporary directory, which is removed when this process ends. Its path is short, because tests put
 * Unix sockets there.
 */
function makeDirectory() {
  root ??= makeRoot();
  return mkdtempSync(path.join(root, 't-'));
}

function makeRoot() {
  const made = mkdtempSync(path.join(realpathSync(os.tmpdir()), 'rs-cluster-'));
  process.on('exit', () => removeDirectory(made));
  return made;
}

function removeDirectory(directory) {
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
}

module.exports = { makeDirectory, removeDirectory };
