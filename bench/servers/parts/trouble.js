'use strict';

// Keeps an event loop from its work. It sleeps instead of spinning, to measure a blocked event loop, not a
// busy processor.

const unused = new Int32Array(new SharedArrayBuffer(4));

function block(milliseconds) {
  Atomics.wait(unused, 0, 0, milliseconds);
}

/** From now on, every turn of the event loop takes so long. */
function slowTurns(milliseconds) {
  setImmediate(() => {
    block(milliseconds);
    slowTurns(milliseconds);
  });
}

/** From now on, the event loop is blocked for `ms` in every `everyMs`. */
function stallNowAndThen({ ms, everyMs }) {
  setInterval(() => block(ms), everyMs);
}

module.exports = { block, slowTurns, stallNowAndThen };
