'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const PROBES = path.join(__dirname, '..', 'servers', 'parts', 'probes');

/** Whether an opponent can take part on this Node binary and kernel, according to its probe. */
function passes(probe, node) {
  return spawnSync(node, [path.join(PROBES, probe)], { timeout: 10_000 }).status === 0;
}

module.exports = { passes };
