'use strict';

// The packages that a release consists of.

const { existsSync, mkdirSync, readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { runTool } = require('../../tools/run-tool.js');

const ROOT = path.join(__dirname, '..', '..');
const PLATFORMS = path.join(ROOT, 'npm');

function manifestOf(directory) {
  return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'));
}

/** The packages of prebuilt binaries: their directories, manifests, and the paths of their binaries. */
function platformPackages() {
  const targets = readdirSync(PLATFORMS, { withFileTypes: true });
  const directories = targets.filter((entry) => entry.isDirectory());
  return directories.map(({ name: target }) => {
    const directory = path.join(PLATFORMS, target);
    const manifest = manifestOf(directory);
    return { target, directory, manifest, binary: path.join(directory, manifest.main) };
  });
}

/** The packages whose binary has been built here. */
function builtPackages() {
  return platformPackages().filter(({ binary }) => existsSync(binary));
}

/** Packs `directory`; resolves to the path of the tarball, and the names of its files. */
async function pack(directory, destination) {
  mkdirSync(destination, { recursive: true });
  const args = ['pack', '--json', '--pack-destination', destination, '--loglevel=error'];
  const [{ filename, files }] = JSON.parse(await runTool('npm', args, { cwd: directory }));
  const names = files.map((file) => file.path).sort();
  return { file: path.join(destination, filename), names };
}

/** The dist-tag by which npm's users get the version: `latest`, or `beta` for `1.0.0-beta.1`. */
function tagOf(version) {
  return /-([a-z]+)/.exec(version)?.[1] ?? 'latest';
}

module.exports = { ROOT, builtPackages, manifestOf, pack, platformPackages, tagOf };
