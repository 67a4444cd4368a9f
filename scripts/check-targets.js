'use strict';

// npm run check:targets -- [--build-std] [TARGET…]: compiles the engine with its tests and benchmarks for the supported
// targets. It links and runs nothing, so it needs no other machine or linker. A target whose standard library is not
// installed is left out, and named; or, with --build-std, that library is compiled too, by Debian's compiler.

const { spawnSync } = require('node:child_process');
const { ROOT, manifestOf } = require('../packaging/lib/packages.js');
const { runCommand } = require('../tools/command.js');
const { debianRust } = require('../tools/debian-rust.js');
const { parse } = require('../tools/options.js');
const { hasStandardLibrary } = require('../tools/rust-target.js');
const { UserError } = require('../tools/user-error.js');

const OPTIONS = { 'build-std': { type: 'boolean', default: false } };
// Debian's compiler comes with these sources, whatever it compiles for.
const ARCHITECTURE = 'arm64';

async function main(argv) {
  const { values, positionals } = parse(argv, OPTIONS);
  const targets = chosen(positionals);
  const missing = [];
  for (const target of targets) {
    if (!(await hasStandardLibrary(target))) missing.push(target);
  }
  const present = targets.filter((target) => !missing.includes(target));
  const broken = present.filter((target) => !check(target, [], {}));
  if (values['build-std'] && missing.length > 0) broken.push(...(await checkWithStd(missing)));
  else for (const target of missing) leaveOut(target);
  if (broken.length > 0) throw new UserError(`does not compile: ${broken.join(', ')}`);
  return 0;
}

function chosen(names) {
  const { targets } = manifestOf(ROOT).napi;
  const unknown = names.find((name) => !targets.includes(name));
  if (unknown !== undefined) {
    throw new UserError(`"${unknown}" is not a target, which are ${targets.join(', ')}.`);
  }
  return names.length > 0 ? names : targets;
}

function leaveOut(target) {
  process.stdout.write(
    `${target} is not checked: "rustup target add ${target}", or --build-std (Debian, Ubuntu)\n`,
  );
}

async function checkWithStd(targets) {
  // Without the variable only a nightly compiler has the option.
  const env = { RUSTC: await debianRust(ARCHITECTURE), RUSTC_BOOTSTRAP: '1' };
  return targets.filter((target) => !check(target, ['-Z', 'build-std=std,panic_unwind,test'], env));
}

function check(target, options, env) {
  process.stdout.write(`${target}:\n`);
  const name = target.replaceAll('-', '_');
  // A development dependency has a C file, which would only be linked.
  const noC = { [`CC_${name}`]: 'true', [`AR_${name}`]: 'true' };
  const args = ['check', '--locked', '--all-targets', '--target', target, ...options];
  const settings = { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env, ...noC } };
  return spawnSync('cargo', args, settings).status === 0;
}

if (require.main === module) runCommand(main);
