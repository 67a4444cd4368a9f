'use strict';

const { makeDatagram } = require('./listening-handles.js');

/**
 * The datagram sockets of a worker, which share what comes with those of other workers. A worker that is not ready yet
 * must leave it to them, so nothing is received meanwhile.
 */
class Datagrams {
  #isWithheld = false;
  /** Handles that receive, or would if the worker were ready. */
  #receiving = new Set();

  /** The handle of a socket, as dgram uses it (lib/dgram.js, startListening() and stopReceiving()). */
  open(fd, onClose) {
    const handle = makeDatagram(fd, () => {
      this.#receiving.delete(handle);
      onClose();
    });
    const { recvStart, recvStop } = handle;
    handle.recvStart = () => {
      this.#receiving.add(handle);
      return this.#isWithheld ? 0 : recvStart.call(handle);
    };
    handle.recvStop = () => {
      this.#receiving.delete(handle);
      return recvStop.call(handle);
    };
    return handle;
  }

  /** The worker is to receive nothing, or may again. */
  withhold(isWithheld) {
    this.#isWithheld = isWithheld;
    for (const handle of [...this.#receiving]) {
      if (isWithheld) handle.recvStop();
      else handle.recvStart();
      this.#receiving.add(handle);
    }
  }
}

module.exports = Datagrams;
