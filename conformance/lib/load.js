'use strict';

const path = require('node:path');
const { killGroup, startProcess } = require('../../tools/processes.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'busy.js');

/** Keeps `count` cores busy until the returned function is called, or this process ends. */
function startLoad(count) {
  // When this process ends in any way, their stdin closes, and they end.
  const options = { stdio: ['pipe', 'ignore', 'inherit'] };
  const busy = Array.from({ length: count }, () =>
    startProcess(process.execPath, [PROGRAM], options),
  );
  return () => {
    for (const child of busy) killGroup(child);
  };
}

module.exports = { startLoad };
