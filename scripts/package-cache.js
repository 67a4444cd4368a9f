'use strict';

// Packages that are no dependencies: fetched when somebody asks for them, kept in .cache/.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const CACHE = path.join(__dirname, '..', '.cache');

function placeOf(name) {
  return path.join(CACHE, name.replaceAll('/', '+'));
}

/** The folder of a package in the cache, or undefined. */
function cachedPackage(name) {
  const folder = path.join(placeOf(name), 'node_modules', name);
  return fs.existsSync(folder) ? folder : undefined;
}

/** The folder of a package in the cache, where npm puts it if it isn't there. */
function fetchPackage(name) {
  const cached = cachedPackage(name);
  if (cached !== undefined) return cached;
  fs.mkdirSync(CACHE, { recursive: true });
  // Its place is taken only by a package that is complete.
  const prefix = fs.mkdtempSync(path.join(CACHE, 'fetching-'));
  try {
    install(name, prefix);
    fs.renameSync(prefix, placeOf(name));
  } finally {
    fs.rmSync(prefix, { recursive: true, force: true });
  }
  return cachedPackage(name);
}

function install(name, prefix) {
  const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  // Not on stdout: what asks for packages may have a report to print there.
  const stdio = ['ignore', process.stderr, process.stderr];
  const args = ['install', '--prefix', prefix, ...flags, name];
  const { error, status } = spawnSync('npm', args, { stdio });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm install ${name} failed`);
}

module.exports = { cachedPackage, fetchPackage };
