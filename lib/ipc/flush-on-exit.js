'use strict';

// Sends what is queued when this process exits. One listener of 'exit' serves all channels, of which a
// primary may have many.

/** How long to wait for peers that do not read, in milliseconds. It is spent once, not for each. */
const PATIENCE = 1000;

const channels = new Set();

function flushAll() {
  let patience = PATIENCE;
  for (const ipc of channels) {
    if (!ipc.flushOnExit(patience)) patience = 0;
  }
}

/** @param {IpcChannel} ipc an end of a channel, which has messages queued */
function add(ipc) {
  if (channels.size === 0) process.on('exit', flushAll);
  channels.add(ipc);
}

function remove(ipc) {
  channels.delete(ipc);
  if (channels.size === 0) process.removeListener('exit', flushAll);
}

module.exports = { add, remove };
