'use strict';

const { countRequests } = require('../node/http-requests.js');

/** What PM2 waits for with `wait_ready`. */
const READY = 'ready';

/** What a worker under supervision reports: that its program is ready, and how many requests it has got. */
class Reports {
  #lanes;
  #isAwaited;
  #isReported = false;

  /**
   * @param {object} supervised
   * @param {'listening' | 'ready'} supervised.readyWhen what makes the worker ready
   * @param {boolean} supervised.countsRequests whether a number of requests ends it
   */
  constructor(lanes, connections, { readyWhen, countsRequests }) {
    this.#lanes = lanes;
    if (countsRequests) {
      const count = () => lanes.addRequest();
      countRequests(count);
      connections.countStream = count;
    }
    this.#isAwaited = readyWhen === 'ready';
    if (this.#isAwaited) this.#watchSend();
  }

  /** `worker.ready()`. Listening makes the worker ready otherwise. */
  ready() {
    if (!this.#isAwaited || this.#isReported) return;
    this.#isReported = true;
    this.#lanes.ready();
  }

  /** Takes `process.send('ready')` for the same, and sends the message like any other. */
  #watchSend() {
    const { send } = process;
    const watched = (message, ...rest) => {
      if (message === READY) {
        this.ready();
        // Further messages cost nothing.
        if (process.send === watched) process.send = send;
      }
      return send(message, ...rest);
    };
    process.send = watched;
  }
}

module.exports = Reports;
