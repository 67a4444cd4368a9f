'use strict';

const errors = require('../errors.js');
const { nextTick } = require('../real-timers.js');

/** Passes an error to the callback of a message, or else emits it. */
function report(target, error, callback) {
  if (typeof callback === 'function') nextTick(callback, error);
  else nextTick(() => target.emit('error', error));
}

/** Shows on `target`, a ChildProcess, the channel of a process that was never started. */
function showClosed(target) {
  target.send = (_message, ...rest) => {
    const callback = rest.find((it) => typeof it === 'function');
    report(target, errors.ipcChannelClosed(), callback);
    return false;
  };
  target.disconnect = () => target.emit('error', errors.ipcDisconnected());
}

module.exports = { report, showClosed };
