'use strict';

const { debuglog } = require('node:util');
const { Act, acknowledged, setPausedAnswer } = require('../ipc/internal-messages.js');

const debug = debuglog('cluster');

/** What workers say by internal messages. */
class WorkerMessages {
  #cluster;
  #engine;
  #workers;
  #markPaused;

  constructor(cluster, engine, workers, markPaused) {
    this.#cluster = cluster;
    this.#engine = engine;
    this.#workers = workers;
    this.#markPaused = markPaused;
  }

  receive(worker, message) {
    switch (message.act) {
      case Act.ONLINE:
        this.#onOnline(worker);
        break;
      case Act.LISTENING:
        this.#onListening(worker, message);
        break;
      case Act.SET_PAUSED:
        this.#onSetPaused(worker, message);
        break;
      case Act.EXITED_AFTER_DISCONNECT:
        this.#workers.leaves(worker);
        worker.exitedAfterDisconnect = true;
        this.#engine().withdraw(worker.id);
        this.#workers.processOf(worker)?.answer(acknowledged());
        break;
      default:
        this.#fail(worker, `the IPC channel carries an unknown internal message: ${message.act}`);
    }
  }

  #onOnline(worker) {
    if (!this.#workers.markStarted(worker)) {
      this.#fail(worker, 'the IPC channel says twice that the worker is online');
      return;
    }
    debug('worker %d online, pid %d', worker.id, worker.process.pid);
    worker.state = 'online';
    worker.emit('online');
    this.#cluster.emit('online', worker);
  }

  #onListening(worker, { addressType, address, port, fd }) {
    const info = { addressType, address, port, fd };
    debug('worker %d listening on %s:%s', worker.id, address ?? '*', port);
    worker.state = 'listening';
    worker.emit('listening', info);
    this.#cluster.emit('listening', worker, info);
  }

  #onSetPaused(worker, message) {
    const isPaused = message.isPaused === true;
    this.#markPaused(worker, isPaused);
    this.#workers.applyPaused(worker, isPaused);
    this.#workers.processOf(worker)?.answer(setPausedAnswer(isPaused));
  }

  #fail(worker, reason) {
    this.#workers.processOf(worker)?.fail(reason);
  }
}

module.exports = WorkerMessages;
