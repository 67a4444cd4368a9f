'use strict';

// Prepares a fresh clone: checks the tools, installs the packages, and builds the addon, as far as they are
// not up to date.

const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync, statSync, utimesSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');
const INSTALLED = path.join(ROOT, 'node_modules', '.package-lock.json');
const LOCK = path.join(ROOT, 'package-lock.json');

function fail(line) {
  console.error(line);
  process.exit(1);
}

function run(command, args) {
  const { error, status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (error) fail(`${command} can't be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

function version(command) {
  const { stdout, status } = spawnSync(command, ['--version'], { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] : undefined;
}

function isOlder(found, wanted) {
  return found.localeCompare(wanted, 'en', { numeric: true }) < 0;
}

function requireTool(command, wanted, how) {
  const found = version(command);
  if (found === undefined) fail(`${command} is missing: ${how}`);
  if (isOlder(found, wanted)) fail(`${command} ${found} is too old, ${wanted} is needed: ${how}`);
}

function checkTools() {
  if (!['linux', 'darwin'].includes(process.platform)) {
    fail(`rs-cluster builds on Linux and macOS only, and this is ${process.platform}`);
  }
  const { devEngines, engines } = JSON.parse(readFileSync(path.join(ROOT, 'package.json')));
  const node = devEngines.runtime.version.replace('>=', '');
  if (isOlder(process.versions.node, node)) {
    const supported = engines.node.replace('>=', '');
    fail(
      `node ${process.versions.node} can't build rs-cluster, which needs ${node} ` +
        `(to use it, ${supported} is enough): see https://nodejs.org`,
    );
  }
  requireTool('npm', '9', 'it comes with node, see https://nodejs.org');
  const rust = /rust-version = "(.*)"/.exec(readFileSync(path.join(ROOT, 'Cargo.toml')))[1];
  requireTool('cargo', rust, 'install Rust by https://rustup.rs');
  requireTool('rustc', rust, 'install Rust by https://rustup.rs');
  requireTool(
    'cc',
    '1',
    'Rust links with a C compiler; on Debian: apt-get install gcc libc6-dev, on macOS: xcode-select --install',
  );
}

function isInstalled() {
  return existsSync(INSTALLED) && statSync(INSTALLED).mtimeMs >= statSync(LOCK).mtimeMs;
}

checkTools();
if (!isInstalled()) {
  // `npm ci` would refuse a lock file without the binaries of all other platforms, which not every registry
  // has.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
  const now = new Date();
  utimesSync(INSTALLED, now, now);
}
run('npm', ['run', '--silent', 'build']);
