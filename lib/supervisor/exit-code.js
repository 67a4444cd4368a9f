'use strict';

/** The exit code of this process, which is 1 while the supervisor has failed. */
class ExitCode {
  /** What it was before the supervisor failed. */
  #before;

  /** The supervisor has changed its state. */
  onState(before, state) {
    if (before === 'failed' && state !== 'stopping' && state !== 'stopped') {
      process.exitCode = this.#before;
    }
    if (state === 'failed') {
      this.#before = process.exitCode;
      process.exitCode = 1;
    }
  }
}

module.exports = ExitCode;
