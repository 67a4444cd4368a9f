'use strict';

const { execFileSync } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** The programs that have been compiled, by the names of their sources. */
const programs = new Map();
let directory;

/** The path of a C program of this folder, compiled once, by the compiler that Rust needs anyway. */
function compiled(name) {
  if (!programs.has(name)) {
    if (directory === undefined) {
      directory = mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-helpers-'));
      process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    }
    const program = path.join(directory, name);
    execFileSync('cc', ['-O1', '-o', program, path.join(__dirname, `${name}.c`)]);
    programs.set(name, program);
  }
  return programs.get(name);
}

module.exports = { compiled };
