'use strict';

const { AsyncResource } = require('node:async_hooks');
const { nextTick } = require('../real-timers.js');
const LoopRef = require('../loop-ref.js');

/**
 * Defers the `'close'` event of a server or a datagram socket, with all that waits for it: its
 * address is free only when the primary has closed its own socket, while Node emits the event as soon
 * as the handle is closed here and the last connection has ended. The event loop is held open only
 * while an event is deferred, which Node would have emitted by then.
 *
 * @param {EventEmitter} server whose handle is being closed
 * @returns {() => void} to be called when the address is free
 */
function deferClose(server) {
  const own = Object.getOwnPropertyDescriptor(server, 'emit');
  const { emit } = server;
  const deferred = [];
  const loopRef = new LoopRef();
  let isFree = false;

  function emitUnlessClosed(name, ...args) {
    if (isFree || name !== 'close') return Reflect.apply(emit, this, [name, ...args]);
    loopRef.ref();
    const emitNow = () => Reflect.apply(emit, this, [name, ...args]);
    deferred.push(AsyncResource.bind(emitNow, 'rs-cluster.Close'));
    return this.listenerCount(name) > 0;
  }
  Object.defineProperty(server, 'emit', {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    writable: true,
    value: emitUnlessClosed,
  });

  return () => {
    isFree = true;
    loopRef.unref();
    // Unless somebody has wrapped it meanwhile: then it passes everything on.
    if (server.emit === emitUnlessClosed) {
      if (own === undefined) delete server.emit;
      else Object.defineProperty(server, 'emit', own);
    }
    for (const event of deferred) nextTick(event);
  };
}

module.exports = deferClose;
