'use strict';

// npm run licenses -- [DIRECTORY]: fails if a crate that is built, tested or published here, or an npm
// package that users install, has a license that deny.toml does not allow. Needs no network.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const { ROOT, manifestOf, platformPackages } = require('../packaging/lib/packages.js');
const { runCommand } = require('../tools/command.js');
const { isAllowed } = require('../tools/licenses.js');
const { runTool } = require('../tools/run-tool.js');
const { UserError } = require('../tools/user-error.js');

/** The list that cargo-deny has too. */
function allowedLicenses() {
  const text = readFileSync(path.join(ROOT, 'deny.toml'), 'utf8');
  const [, list] = /^allow = \[\n(.*?)^\]/ms.exec(text);
  return list.match(/(?<=")[^"]+(?=")/g);
}

/** The crates that any of our targets needs, with those of tests, benchmarks and fuzz targets. */
async function crates(directory) {
  const { targets } = manifestOf(ROOT).napi;
  const platforms = targets.flatMap((target) => ['--filter-platform', target]);
  const args = ['metadata', '--locked', '--format-version', '1', ...platforms];
  const missing = 'cargo is missing, which knows the licenses of crates: https://rustup.rs';
  const { packages } = JSON.parse(await runTool('cargo', args, { cwd: directory, missing }));
  return packages.map(({ name, version, license }) => ({ name, version, license }));
}

/** What the lock file has for users, not for development only. */
function lockedPackages(directory) {
  const lock = JSON.parse(readFileSync(path.join(directory, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages)
    .filter(([, { dev }]) => !dev)
    .map(([place, { name = place, version, license }]) => ({ name, version, license }));
}

async function main([directory = ROOT]) {
  const found = {
    crates: await crates(directory),
    packages: [...lockedPackages(directory), ...platformPackages().map(({ manifest }) => manifest)],
  };
  const allowed = allowedLicenses();
  const all = [...found.crates, ...found.packages];
  const forbidden = all.filter(({ license }) => !isAllowed(license, allowed));
  if (forbidden.length > 0) {
    const lines = forbidden.map(({ name, version, license }) => `  ${name} ${version}: ${license}`);
    throw new UserError(`deny.toml does not allow these licenses:\n${lines.join('\n')}`);
  }
  process.stdout.write(
    `Checked the licenses of ${found.crates.length} crates and ${found.packages.length} npm packages.\n`,
  );
  return 0;
}

runCommand(main);
