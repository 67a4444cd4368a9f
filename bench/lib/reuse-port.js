'use strict';

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const PROBE = path.join(__dirname, '..', 'servers', 'parts', 'reuse-port-probe.js');

/** Whether this Node binary and kernel can share a port between independent processes. */
function hasReusePort(node) {
  return spawnSync(node, [PROBE], { timeout: 10_000 }).status === 0;
}

module.exports = { hasReusePort };
