'use strict';

const { nextTick } = require('./real-timers.js');

/**
 * Calls `emit`, and then `go`. If a listener throws, it calls `go` in the next tick, which comes only if the
 * program survives the exception.
 */
function emitThen(emit, go) {
  try {
    emit();
  } catch (error) {
    nextTick(go);
    throw error;
  }
  go();
}

module.exports = emitThen;
