'use strict';

const { runInThisContext } = require('node:vm');

// A test runner may have replaced the global one.
const realProcess = runInThisContext('process');

/**
 * Listens for the start of this process's inspector, by SIGUSR1 or `inspector.open()`. Node's own cluster
 * module is told the same way (src/inspector_agent.cc).
 */
class InspectorWatch {
  #onInternalMessage;

  constructor(onStarted) {
    this.#onInternalMessage = ({ cmd }) => {
      if (cmd === 'NODE_DEBUG_ENABLED') onStarted();
    };
  }

  start() {
    realProcess.on('internalMessage', this.#onInternalMessage);
  }

  stop() {
    realProcess.removeListener('internalMessage', this.#onInternalMessage);
  }
}

module.exports = InspectorWatch;
