'use strict';

// npm run release:dry: the parts of a release that one machine can do. It builds the binary of this
// platform as the release workflow does, puts it into its package, tries the packages on every supported
// Node, and runs npm publish without sending anything.

const { copyFileSync, existsSync, rmSync } = require('node:fs');
const path = require('node:path');
const {
  ROOT,
  builtPackages,
  manifestOf,
  platformPackages,
  tagOf,
} = require('../packaging/lib/packages.js');
const { makeMainPackage, makeRunnable } = require('../packaging/lib/main-package.js');
const { startRegistry } = require('../packaging/lib/registry.js');
const { targetOf } = require('../lib/addon/binary.js');
const { cached } = require('../tools/cache.js');
const { runCommand } = require('../tools/command.js');
const { fetchPackage } = require('../tools/package.js');
const { startProcess } = require('../tools/processes.js');
const { runTool } = require('../tools/run-tool.js');
const { hostTarget } = require('../tools/rust-host.js');
const { UserError } = require('../tools/user-error.js');

// The toolchain of napi-rs, for a glibc that every Node has; see `--use-napi-cross`, which unpacks it into
// the user's home.
const VERSION = '1.0.0';
const TOOLCHAIN = `@napi-rs/cross-toolchain-x64-target-x86_64@${VERSION}`;
const BUILT = path.join(ROOT, 'target', 'prebuilt');
const TARGET = 'x86_64-unknown-linux-gnu';
// What runs on the main package too, and not only on the sources.
const SPECS = [
  ...['environment', 'lifecycle', 'messages'].map((name) => `__test__/${name}/*.spec.js`),
  // Here a primary loads modules late.
  '__test__/faults/without-descriptors.spec.js',
  '__test__/supervise/reload.spec.js',
  '__test__/supervise/upgrade.spec.js',
];

const USAGE = `npm run release:dry

Builds, checks and packs a release, and does not publish it.
`;

/** Runs a program to its end; the user sees its output. */
function run(command, args, env = {}) {
  const options = { cwd: ROOT, env: { ...process.env, ...env }, stdio: 'inherit' };
  const child = startProcess(command, args, options);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else reject(new UserError(`${[command, ...args].join(' ')} failed`));
    });
  });
}

/** Resolves to the linker of the toolchain. */
async function findLinker() {
  const toolchain = await cached(`cross-toolchain-${VERSION}`, async (directory) => {
    const archive = path.join(await fetchPackage(TOOLCHAIN), `${TARGET}.tar.xz`);
    const missing = 'tar or xz is missing; on Debian: apt-get install xz-utils';
    await runTool('tar', ['-xJf', archive, '-C', directory], { missing });
  });
  return path.join(toolchain, 'bin', `${TARGET}-gcc`);
}

/** Resolves to the target to build for, and the environment of the build. */
async function choose() {
  if (targetOf(process) === 'linux-x64-gnu') {
    return [TARGET, { CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER: await findLinker() }];
  }
  return [await hostTarget(), {}];
}

/** Builds the addon, and puts it into the package of its platform. */
async function build(target, env) {
  rmSync(BUILT, { recursive: true, force: true });
  const options = ['--platform', '--release', '--no-js', '--dts', 'binding.d.ts'];
  await run(
    'npx',
    ['napi', 'build', ...options, '--target', target, '-o', BUILT, '--', '--locked'],
    env,
  );
  for (const { directory, manifest, binary } of platformPackages()) {
    rmSync(binary, { force: true });
    const built = path.join(BUILT, manifest.main);
    if (!existsSync(built)) continue;
    copyFileSync(built, binary);
    copyFileSync(path.join(ROOT, 'LICENSE'), path.join(directory, 'LICENSE'));
  }
}

/** Publishes to an empty registry, because npm refuses a version that its registry already has. */
async function publishDry() {
  const registry = await startRegistry([]);
  const { version } = manifestOf(ROOT);
  const options = ['--dry-run', '--access', 'public', '--tag', tagOf(version)];
  options.push('--loglevel', 'notice', '--registry', registry.url);
  for (const directory of [...builtPackages().map((it) => it.directory), makeMainPackage()]) {
    await run('npm', ['publish', directory, ...options]);
  }
  registry.close();
}

async function main(argv) {
  if (argv.length > 0) {
    process.stdout.write(USAGE);
    return argv[0] === '--help' ? 0 : 2;
  }
  const [target, env] = await choose();
  await build(target, env);
  await run('npx', ['ava', '--config', 'packaging/ava.config.mjs']);
  await run('npx', ['ava', ...SPECS], { CLUSTER: makeRunnable() });
  await publishDry();
  return 0;
}

runCommand(main);
