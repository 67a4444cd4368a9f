'use strict';

// `npm version X` runs this before it commits: it gives everything that is released together the new version.

const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { ROOT, manifestOf, platformPackages } = require('../packaging/lib/packages.js');

function edit(file, change) {
  const name = path.join(ROOT, file);
  writeFileSync(name, change(readFileSync(name, 'utf8')));
}

function editJson(file, change) {
  edit(file, (text) => {
    const value = JSON.parse(text);
    change(value);
    return `${JSON.stringify(value, null, 2)}\n`;
  });
}

const { version } = manifestOf(ROOT);
const platforms = platformPackages();
const asked = Object.fromEntries(platforms.map(({ manifest }) => [manifest.name, version]));

editJson('package.json', (manifest) => {
  manifest.optionalDependencies = asked;
});
editJson('package-lock.json', (lock) => {
  lock.packages[''].optionalDependencies = asked;
});
for (const { target } of platforms) {
  editJson(`npm/${target}/package.json`, (manifest) => {
    manifest.version = version;
  });
}
edit('lib/addon/release.js', (text) => text.replace(/version: '.*'/, `version: '${version}'`));
edit('Cargo.toml', (text) => text.replace(/^version = ".*"$/m, `version = "${version}"`));
edit('Cargo.lock', (text) =>
  text.replace(/(name = "rs-cluster"\nversion = )".*"/, `$1"${version}"`),
);
const today = new Date().toISOString().slice(0, 10);
edit('CHANGELOG.md', (text) =>
  text.replace('## Unreleased\n', `## Unreleased\n\n## ${version} - ${today}\n`),
);
execFileSync('git', ['add', '--update'], { cwd: ROOT });
