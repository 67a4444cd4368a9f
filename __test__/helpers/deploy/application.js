'use strict';

// A program with a package.json and a lock file, of which rs-cluster is a dependency, as in a repository of users.

const fs = require('node:fs');
const path = require('node:path');
const { pack } = require('../../../packaging/lib/packages');
const { runTool } = require('../../../tools/run-tool');

const ROOT = path.join(__dirname, '../../..');
const LIMIT = 120_000;
// The binary is in the package itself, because those of the platforms need not be published yet.
const FILES = ['index.js', 'index.mjs', 'preload.js', 'register.js', 'bin', 'lib'];

/** Packs rs-cluster with its binary; resolves to the path of the tarball. */
async function packWithBinary(place) {
  const directory = path.join(place, 'rs-cluster');
  fs.mkdirSync(directory);
  for (const name of FILES) {
    fs.cpSync(path.join(ROOT, name), path.join(directory, name), { recursive: true });
  }
  const { optionalDependencies, devDependencies, scripts, files, ...manifest } = JSON.parse(
    fs.readFileSync(path.join(ROOT, 'package.json')),
  );
  const changed = { ...manifest, files: [...files, 'lib/*.node'] };
  fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify(changed));
  return (await pack(directory, place)).file;
}

/**
 * Writes a program into the directory `app` of a place; resolves to its path.
 *
 * @param {string} place an empty directory
 * @param {string} source of `server.js`
 */
async function writeApplication(place, source) {
  const directory = path.join(place, 'app');
  fs.mkdirSync(directory);
  const dependencies = { 'rs-cluster': `file:${await packWithBinary(place)}` };
  const manifest = { name: 'app', version: '1.0.0', private: true, dependencies };
  fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest));
  fs.writeFileSync(path.join(directory, 'server.js'), source);
  const args = ['install', '--package-lock-only', '--offline', '--no-audit', '--no-fund'];
  await runTool('npm', args, { cwd: directory, limit: LIMIT });
  return directory;
}

module.exports = { writeApplication };
