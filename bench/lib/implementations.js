'use strict';

const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

/**
 * The checkouts of rs-cluster that take part as opponents: this one, and the one that `--against` names.
 */
function implementations({ against }) {
  const own = { name: 'rs-cluster', implementation: ROOT };
  if (!against) return [own];
  return [own, { name: 'other rs-cluster', implementation: path.resolve(against) }];
}

module.exports = { implementations };
