'use strict';

// Replaces npm in the documentation's commands: `npm install <package> …` installs packages of this
// project, or the project itself, without a registry. Any other command is an error.

const { existsSync, mkdirSync, symlinkSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');

const [command, ...names] = process.argv.slice(2);
if (command !== 'install' || names.length === 0) {
  throw new Error(`npm ${process.argv.slice(2).join(' ')}: the tests can't run this`);
}
for (const name of names) {
  const target = name === 'rs-cluster' ? ROOT : path.join(ROOT, 'node_modules', name);
  if (!existsSync(target)) throw new Error(`npm install ${name}: there is no such package here`);
  const link = path.resolve('node_modules', name);
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(target, link);
  createRequire(path.resolve('index.js'))(name);
}
