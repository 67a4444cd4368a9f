'use strict';

// What is queued when this process exits is sent first. One listener serves all lanes, of which a
// primary may have many.

/** How long to wait for a peer that reads nothing, in milliseconds: once, not for each. */
const PATIENCE = 1000;

const lanes = new Set();

function sendAll() {
  let patience = PATIENCE;
  for (const lane of lanes) {
    if (!lane.sendLastWords(patience)) patience = 0;
  }
}

/** This lane has messages queued. */
function add(lane) {
  if (lanes.size === 0) process.on('exit', sendAll);
  lanes.add(lane);
}

function remove(lane) {
  lanes.delete(lane);
  if (lanes.size === 0) process.removeListener('exit', sendAll);
}

module.exports = { add, remove };
