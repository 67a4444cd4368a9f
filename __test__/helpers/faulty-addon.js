'use strict';

const { execFileSync, spawnSync } = require('node:child_process');
const { copyFileSync } = require('node:fs');
const path = require('node:path');
const { ROOT, install } = require('./installation');

const NAMES = { darwin: 'librs_cluster.dylib', linux: 'librs_cluster.so' };

/** Whether there is a compiler. */
const canCompile = spawnSync('cargo', ['--version']).status === 0;

/**
 * Installs the package with an addon whose system calls can be made to fail: see
 * `src/binding/inject.rs`. Compiling that takes a while.
 *
 * @returns {string} the directory of the package
 */
function installFaulty(t) {
  const options = ['--locked', '--lib', '--features', 'inject', '--message-format', 'json'];
  const output = execFileSync('cargo', ['build', ...options], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: Number.POSITIVE_INFINITY,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const files = output
    .trim()
    .split('\n')
    .flatMap((line) => JSON.parse(line).filenames ?? []);
  const addon = files.find((file) => path.basename(file) === NAMES[process.platform]);
  return install(t, (file) => copyFileSync(addon, file));
}

module.exports = { canCompile, installFaulty };
