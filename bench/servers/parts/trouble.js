'use strict';

// What keeps an event loop from its work. It sleeps rather than spins: what is measured is a loop
// that does not turn, not a processor that is taken.

const nobody = new Int32Array(new SharedArrayBuffer(4));

function block(milliseconds) {
  Atomics.wait(nobody, 0, 0, milliseconds);
}

/** Every turn of the event loop takes so long from now on. */
function slowTurns(milliseconds) {
  setImmediate(() => {
    block(milliseconds);
    slowTurns(milliseconds);
  });
}

/** From now on the event loop stands still for `ms` of every `everyMs`. */
function stallNowAndThen({ ms, everyMs }) {
  setInterval(() => block(ms), everyMs);
}

module.exports = { block, slowTurns, stallNowAndThen };
