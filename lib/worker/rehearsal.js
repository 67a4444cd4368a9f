'use strict';

const dgram = require('node:dgram');
const { syncBuiltinESMExports } = require('node:module');
const net = require('node:net');

/**
 * In a rehearsal the primary binds substitutes. Makes servers ask it that would bind their addresses themselves:
 * those with `exclusive` or `reusePort`.
 */
function askForAll() {
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (options, ...rest) {
    return listen.call(this, shared(options), ...rest);
  };
  const { bind } = dgram.Socket.prototype;
  dgram.Socket.prototype.bind = function (options, ...rest) {
    // Without a port it takes no address from the program that serves; sockets that only send do so.
    return bind.call(this, options?.port ? shared(options) : options, ...rest);
  };
  const { createSocket } = dgram;
  dgram.createSocket = (options, ...rest) => createSocket(shared(options), ...rest);
  syncBuiltinESMExports();
}

/** The same options, without what keeps an address from being shared. */
function shared(options) {
  if (!(options?.exclusive || options?.reusePort)) return options;
  return Object.assign(Object.create(options), { exclusive: false, reusePort: false });
}

module.exports = askForAll;
