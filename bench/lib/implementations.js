'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { makeRunnable } = require('../../packaging/lib/main-package.js');

let made;

/** The package of this checkout, in a directory of its own: others may make it meanwhile. */
function ownPackage() {
  if (made === undefined) {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-bench-'));
    process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
    made = makeRunnable(path.join(directory, 'rs-cluster'));
  }
  return made;
}

/**
 * The variants of rs-cluster that take part as opponents: the package of this checkout, as users install it, and the
 * checkout, or package, that `--against` names.
 */
function implementations({ against }) {
  const own = { name: 'rs-cluster', implementation: ownPackage() };
  if (!against) return [own];
  return [own, { name: 'other rs-cluster', implementation: path.resolve(against) }];
}

module.exports = { implementations };
