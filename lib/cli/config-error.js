'use strict';

const USAGE = 2;

/** What is wrong with a configuration file, in one line without a period at its end; `hint` says what to do. */
class ConfigError extends Error {
  exitCode = USAGE;
  code = 'ERR_RS_CLUSTER_CONFIG';

  /**
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

module.exports = ConfigError;
