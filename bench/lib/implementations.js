'use strict';

const path = require('node:path');
const { makeRunnable } = require('../../packaging/lib/main-package.js');

let made;

/**
 * The variants of rs-cluster that take part as opponents: the package of this checkout, as users install it, and the
 * checkout, or package, that `--against` names.
 */
function implementations({ against }) {
  made ??= makeRunnable();
  const own = { name: 'rs-cluster', implementation: made };
  if (!against) return [own];
  return [own, { name: 'other rs-cluster', implementation: path.resolve(against) }];
}

module.exports = { implementations };
