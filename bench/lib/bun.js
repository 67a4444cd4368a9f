'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { fetchedPackage, fetchPackage } = require('../../tools/package.js');
const { UserError } = require('../../tools/user-error.js');

const ARCHITECTURES = { x64: 'x64', arm64: 'aarch64' };
const PACKAGE = `@oven/bun-${process.platform}-${ARCHITECTURES[process.arch]}`;

function inspect(bun) {
  const version = execFileSync(bun, ['--version'], { timeout: 10_000, stdio: 'pipe' });
  return { bun, version: version.toString().trim() };
}

function inspectPackage(folder) {
  return inspect(path.join(folder, 'bin', 'bun'));
}

function fromCache() {
  const folder = fetchedPackage(PACKAGE);
  return folder ? inspectPackage(folder) : { absence: 'not here; --bun npm fetches it' };
}

/**
 * Bun, if it is available: `{ bun, version }`; otherwise the reason: `{ absence }`.
 *
 * `wanted` is the path of a binary; 'npm', to fetch one; or undefined, for a binary that was fetched
 * before.
 */
async function findBun(wanted) {
  if (wanted !== undefined && wanted !== 'npm') {
    try {
      return inspect(wanted);
    } catch (error) {
      throw new UserError(`--bun ${wanted}: ${error.message}`);
    }
  }
  try {
    return wanted === 'npm' ? inspectPackage(await fetchPackage(PACKAGE)) : fromCache();
  } catch (error) {
    return { absence: error.message };
  }
}

module.exports = { findBun };
