'use strict';

const { startProcess } = require('../../tools/processes.js');

/** Starts processes that do nothing but want a processor; returns what ends them. */
function startCrowd(count) {
  const loop = () => startProcess('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  const crowd = Array.from({ length: count }, loop);
  return () => {
    for (const child of crowd) child.kill('SIGKILL');
  };
}

module.exports = { startCrowd };
