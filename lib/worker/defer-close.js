'use strict';

const { AsyncResource } = require('node:async_hooks');
const { nextTick } = require('../real-timers.js');
const LoopRef = require('../loop-ref.js');

/**
 * Defers the event `'close'` of a server or a datagram socket until its address is free. Node emits the event
 * when the handle is closed here and the last connection has ended, but then the primary may not have closed
 * its own socket. The event loop is kept running only while an event is deferred that Node would have
 * emitted.
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
    // If the program has wrapped our function meanwhile, it stays, and passes everything on.
    if (server.emit === emitUnlessClosed) {
      if (own === undefined) delete server.emit;
      else Object.defineProperty(server, 'emit', own);
    }
    for (const event of deferred) nextTick(event);
  };
}

module.exports = deferClose;
