'use strict';

const { readFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { makeMainPackage } = require('./lib/main-package.js');
const { ROOT, manifestOf, pack, platformPackages } = require('./lib/packages.js');
const { temporaryDirectory } = require('../__test__/helpers/temporary.js');
const release = require('../lib/addon/release.js');

const main = manifestOf(ROOT);
const platforms = platformPackages();

// The names that rustc has for targets, and npm for platforms.
const TARGETS = {
  'x86_64-unknown-linux-gnu': ['linux', 'x64', 'glibc'],
  'x86_64-unknown-linux-musl': ['linux', 'x64', 'musl'],
  'aarch64-unknown-linux-gnu': ['linux', 'arm64', 'glibc'],
  'aarch64-unknown-linux-musl': ['linux', 'arm64', 'musl'],
  'x86_64-apple-darwin': ['darwin', 'x64', undefined],
  'aarch64-apple-darwin': ['darwin', 'arm64', undefined],
};

test('there is a package for each target, and npm installs it there and nowhere else', (t) => {
  t.deepEqual(main.napi.targets.toSorted(), Object.keys(TARGETS).sort());
  const asked = platforms.map(({ manifest: { os, cpu, libc } }) => [os, cpu, libc].join('/'));
  t.deepEqual(
    asked.sort(),
    Object.values(TARGETS)
      .map((target) => target.join('/'))
      .sort(),
  );
});

test('all packages and the crate have one version, and the main package asks for it', (t) => {
  const { version } = main;
  const wanted = platforms.map(({ manifest: { name } }) => [name, version]);
  t.deepEqual(main.optionalDependencies, Object.fromEntries(wanted));
  for (const { manifest } of platforms) {
    t.is(manifest.version, version, manifest.name);
    t.is(manifest.engines.node, main.engines.node, manifest.name);
  }
  t.is(release.version, version);
  t.deepEqual(release.targets, platforms.map(({ target }) => target).sort());
  const [, crate] = /^version = "(.+)"$/m.exec(readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8'));
  t.is(crate, version);
});

test('the main package contains everything that its files load, and nothing else', async (t) => {
  const directory = makeMainPackage(path.join(temporaryDirectory(t), 'main'));
  const { names } = await pack(directory, temporaryDirectory(t));
  const scripts = names.filter((name) => name.startsWith('lib/'));
  t.true(scripts.includes('lib/addon/binding.js'));
  t.true(scripts.includes('lib/chunks/worker.js'));
  t.true(
    scripts.every((name) => name.endsWith('.js')),
    scripts.join(),
  );
  t.deepEqual(
    names.filter((name) => !name.startsWith('lib/')),
    [
      'LICENSE',
      'README.md',
      'bin/rs-cluster.js',
      'index.d.mts',
      'index.d.ts',
      'index.js',
      'index.mjs',
      'package.json',
      'preload.js',
      'register.js',
    ],
  );
});
