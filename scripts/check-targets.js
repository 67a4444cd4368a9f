'use strict';

// npm run check:targets: compiles the engine for every target it is meant for, as far as rustup has
// the standard library of it. Links and runs nothing, so no other machine or linker is needed.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.join(__dirname, '..');

const TARGETS = [
  'x86_64-unknown-linux-gnu',
  'x86_64-unknown-linux-musl',
  'aarch64-unknown-linux-gnu',
  'aarch64-unknown-linux-musl',
  'x86_64-apple-darwin',
  'aarch64-apple-darwin',
];

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
const missing = TARGETS.filter((target) => !found.includes(target));
const broken = TARGETS.filter((target) => found.includes(target) && !check(target));
for (const target of missing) {
  console.log(`${target} is not checked: rustup target add ${target}`);
}
if (broken.length > 0) {
  console.error(`does not compile: ${broken.join(', ')}`);
  process.exit(1);
}
