'use strict';

const { execFileSync } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

let launcher;

/** The program that denies system calls, compiled once, by the compiler that Rust needs anyway. */
function compiled() {
  if (launcher === undefined) {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-deny-'));
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    launcher = path.join(directory, 'deny');
    execFileSync('cc', ['-O1', '-o', launcher, path.join(__dirname, 'deny.c')]);
  }
  return launcher;
}

/** A `launcher` for fixtures, in which these system calls (see deny.c) fail with `code`: `'EPERM'`. */
function denying(code, ...calls) {
  return [compiled(), `${os.constants.errno[code]}`, calls.join(',')];
}

/** Whether system calls can be denied on this machine. */
const canDeny = process.platform === 'linux';

module.exports = { canDeny, denying };
