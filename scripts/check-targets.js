'use strict';

// npm run check:targets: compiles the engine for every supported target whose standard library rustup has. It
// links and runs nothing, so it needs no other machine or linker.

const { spawnSync } = require('node:child_process');
const { ROOT, manifestOf } = require('../packaging/lib/packages.js');

const { targets } = manifestOf(ROOT).napi;

function installed() {
  const { error, status, stdout } = spawnSync('rustup', ['target', 'list', '--installed'], {
    encoding: 'utf8',
  });
  if (error || status !== 0) {
    console.error('rustup is missing, and with it the list of targets: see https://rustup.rs');
    process.exit(1);
  }
  return stdout.trim().split('\n');
}

function check(target) {
  console.log(`${target}:`);
  const args = ['check', '--locked', '--target', target];
  return spawnSync('cargo', args, { cwd: ROOT, stdio: 'inherit' }).status === 0;
}

const found = installed();
const missing = targets.filter((target) => !found.includes(target));
const broken = targets.filter((target) => found.includes(target) && !check(target));
for (const target of missing) {
  console.log(`${target} is not checked: rustup target add ${target}`);
}
if (broken.length > 0) {
  console.error(`does not compile: ${broken.join(', ')}`);
  process.exit(1);
}
