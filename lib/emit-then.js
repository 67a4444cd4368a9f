'use strict';

const { nextTick } = require('./real-timers.js');

/**
 * Calls `emit`, and then `go`, even if a listener throws: in the next tick then, which comes only if the
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
