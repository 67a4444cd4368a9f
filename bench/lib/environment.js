'use strict';

const os = require('node:os');
const { versionOf } = require('../../tools/node-version.js');

/** The facts besides the code on which the figures depend; they are printed above every table. */
function inspectEnvironment(node) {
  const cpus = os.cpus();
  return {
    nodeVersion: versionOf(node),
    kernel: `${os.type()} ${os.release()}`,
    cores: cpus.length,
    cpu: cpus[0]?.model.trim() || os.arch(),
  };
}

function describeEnvironment({ nodeVersion, kernel, cores, cpu }) {
  return `Node ${nodeVersion}, ${kernel}, ${cores} ${cores === 1 ? 'core' : 'cores'} (${cpu})`;
}

module.exports = { describeEnvironment, inspectEnvironment };
