'use strict';

const { execFileSync } = require('node:child_process');
const os = require('node:os');
const { UserError } = require('./user-error.js');

function versionOf(node) {
  try {
    const output = execFileSync(node, ['-p', 'process.version'], { timeout: 10_000 });
    return output.toString().trim();
  } catch (error) {
    throw new UserError(`--node ${node}: ${error.message}`);
  }
}

/** What the figures depend on besides the code: printed above every table. */
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
