'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { temporaryDirectory } = require('./temporary');
const { targetOf } = require('../../lib/addon/binary');

const ROOT = path.join(__dirname, '../..');
const TARGET = targetOf(process);
const BINARY = `rs-cluster.${TARGET}.node`;

function putBinary(file) {
  fs.copyFileSync(path.join(ROOT, 'lib', BINARY), file);
}

/**
 * Installs the package as npm does; `put(file, home)` puts the binary, or something else, there.
 *
 * @param {string} [parent] the directory that gets `node_modules`
 * @returns {string} the directory of the package
 */
function install(t, put = putBinary, parent = temporaryDirectory(t)) {
  const modules = path.join(parent, 'node_modules');
  const home = path.join(modules, 'rs-cluster');
  fs.mkdirSync(path.join(home, 'lib'), { recursive: true });
  fs.cpSync(path.join(ROOT, 'bin'), path.join(home, 'bin'), { recursive: true });
  for (const name of ['package.json', 'index.js', 'index.mjs', 'preload.js', 'register.js']) {
    fs.copyFileSync(path.join(ROOT, name), path.join(home, name));
  }
  const isScript = (name) => !name.startsWith(path.join(ROOT, 'lib', 'rs-cluster.'));
  fs.cpSync(path.join(ROOT, 'lib'), path.join(home, 'lib'), { recursive: true, filter: isScript });
  const platform = path.join(modules, `rs-cluster-${TARGET}`);
  fs.mkdirSync(platform);
  fs.copyFileSync(
    path.join(ROOT, 'npm', TARGET, 'package.json'),
    path.join(platform, 'package.json'),
  );
  put(path.join(platform, BINARY), home);
  return home;
}

module.exports = { BINARY, ROOT, TARGET, install };
