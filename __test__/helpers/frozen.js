'use strict';

// Releases as they were: `scripts/freeze.js` has packed their sources.

const { createHash } = require('node:crypto');
const {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
} = require('node:fs');
const path = require('node:path');
const { targetOf } = require('../../lib/addon/binary');
const { cached } = require('../../tools/cache');
const { runTool } = require('../../tools/run-tool');

const FROZEN = path.join(__dirname, '../frozen');
const ARCHIVE = /^(.+)\.tar\.gz$/;
const LIBRARIES = { darwin: 'librs_cluster.dylib', linux: 'librs_cluster.so' };
const LIMIT = 15 * 60_000;

/** Cargo compiles a dependency once for all of it, without what only debuggers need: that takes about a minute. */
const PROFILE = {
  CARGO_PROFILE_DEV_OPT_LEVEL: '1',
  CARGO_PROFILE_DEV_DEBUG: 'false',
  CARGO_PROFILE_DEV_INCREMENTAL: 'false',
  CARGO_PROFILE_DEV_BUILD_OVERRIDE_OPT_LEVEL: '0',
};

/** The archives, by their versions. */
function archives() {
  const names = existsSync(FROZEN) ? readdirSync(FROZEN) : [];
  const found = names.map((name) => ARCHIVE.exec(name)).filter((it) => it !== null);
  return new Map(found.map(([name, version]) => [version, path.join(FROZEN, name)]));
}

async function compile(directory) {
  const target = path.join(directory, 'target');
  const env = { ...process.env, ...PROFILE, CARGO_TARGET_DIR: target };
  // A compiler of another version than that of this release may warn of something new.
  delete env.RUSTFLAGS;
  await runTool('cargo', ['build', '--locked', '--lib'], { cwd: directory, env, limit: LIMIT });
  const library = path.join(target, 'debug', LIBRARIES[process.platform]);
  copyFileSync(library, path.join(directory, 'lib', `rs-cluster.${targetOf(process)}.node`));
  rmSync(target, { recursive: true });
}

/**
 * Resolves to the directory of a package like the one in the archive, which is built once.
 *
 * @param {string} archive
 */
async function build(archive) {
  const [, version] = ARCHIVE.exec(path.basename(archive));
  const hash = createHash('sha256').update(readFileSync(archive)).digest('hex').slice(0, 12);
  return cached(path.join('frozen', `${version}-${hash}`), async (directory) => {
    mkdirSync(directory, { recursive: true });
    await runTool('tar', ['-xzf', archive, '-C', directory]);
    await compile(directory);
  });
}

module.exports = { FROZEN, archives, build };
