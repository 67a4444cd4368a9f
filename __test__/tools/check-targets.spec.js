'use strict';

const { spawnSync } = require('node:child_process');
const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { temporaryDirectory } = require('../helpers/temporary');

const SCRIPT = path.join(__dirname, '../../scripts/check-targets.js');
const GNU = 'x86_64-unknown-linux-gnu';
const MUSL = 'x86_64-unknown-linux-musl';
const MACOS = 'aarch64-apple-darwin';

/**
 * Runs the script where the standard library of `GNU` and `MUSL` is installed, and cargo fails for `MUSL`.
 *
 * @param {string[]} args
 */
function run(t, args) {
  const directory = temporaryDirectory(t);
  for (const target of [GNU, MUSL]) mkdirSync(path.join(directory, target));
  const programs = {
    // --print target-libdir --target TARGET
    rustc: `echo "${directory}/$4"`,
    // check --locked --all-targets --target TARGET
    cargo: `echo "cargo $*"; test "$5" != ${MUSL}`,
  };
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(path.join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  const env = { ...process.env, PATH: directory };
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...args], {
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

test('targets with a standard library are compiled, and the others named', (t) => {
  const { status, stdout, stderr } = run(t, [GNU, MACOS]);
  t.is(status, 0, stderr);
  t.regex(stdout, new RegExp(`^cargo check --locked --all-targets --target ${GNU}$`, 'm'));
  t.regex(stdout, new RegExp(`^${MACOS} is not checked: "rustup target add ${MACOS}"`, 'm'));
  t.notRegex(stdout, new RegExp(`cargo .*${MACOS}`));
});

test('a target that does not compile fails the check, after all others', (t) => {
  const { status, stdout, stderr } = run(t, [MUSL, GNU]);
  t.is(status, 1);
  t.is(stderr, `does not compile: ${MUSL}\n`);
  t.regex(stdout, new RegExp(`cargo .*${GNU}`));
});

test('without names all supported targets are looked at', (t) => {
  const { stdout } = run(t, []);
  t.is(stdout.match(/^\S+:$|is not checked/gm).length, 6);
});

test('a target that is not supported is an error', (t) => {
  const { status, stderr } = run(t, ['x86_64-unknown-freebsd']);
  t.is(status, 1);
  t.regex(
    stderr,
    /^"x86_64-unknown-freebsd" is not a target, which are x86_64-unknown-linux-gnu, /,
  );
});
