'use strict';

// What is queued when this process exits is sent first. One listener serves all channels, of which a
// primary may have many.

/** How long to wait for a peer that reads nothing, in milliseconds: once, not for each. */
const PATIENCE = 1000;

const channels = new Set();

function flushAll() {
  let patience = PATIENCE;
  for (const ipc of channels) {
    if (!ipc.sendLastWords(patience)) patience = 0;
  }
}

/** This ipc has messages queued. */
function add(ipc) {
  if (channels.size === 0) process.on('exit', flushAll);
  channels.add(ipc);
}

function remove(ipc) {
  channels.delete(ipc);
  if (channels.size === 0) process.removeListener('exit', flushAll);
}

module.exports = { add, remove };
