'use strict';

const { destroyWhenSent } = require('../node/http2-end.js');

const FIRST_PUSH = 2;

/** The HTTP/2 session of a connection, and its streams. */
class Http2Session {
  /** How many streams of the client are open. */
  open = 0;
  #opened = 0;
  #session;
  #isAsking = false;
  #wasDone = false;

  /** `onChange` is called when a stream has been opened or closed. */
  constructor(session, onChange) {
    this.#session = session;
    session.on('stream', (stream) => {
      this.#opened += 1;
      this.open += 1;
      onChange();
      stream.once('close', () => {
        this.open -= 1;
        onChange();
      });
    });
  }

  /**
   * Closes the session at a moment when no request is on its way, as far as that can be known: when none has
   * come by the time that the client has answered a ping. To be called again until the session has closed.
   */
  closeWhenQuiet() {
    if (this.#isAsking || !this.#isUsable) return;
    const opened = this.#opened;
    // The client may have too many pings to answer.
    this.#isAsking = this.#session.ping((error) => {
      this.#isAsking = false;
      if (!error && this.#opened === opened) this.close();
    });
  }

  /** Lets the streams that are open end, and no others begin. */
  close() {
    if (!this.#isUsable) return;
    destroyWhenSent(this.#session);
    this.#session.close();
  }

  /**
   * Ends a session that has closed, and has nothing left to do. To be called again after some time.
   *
   * Since the version that asks its handle for pending data (kMaybeDestroy in lib/internal/http2/core.js), Node
   * may wait for ever after the last stream: the news that all is sent can come before the stream is gone.
   */
  endIfDone() {
    const session = this.#session;
    const isDone = session.closed && !session.destroyed && this.open === 0 && !hasPushed(session);
    const isSecondTime = isDone && this.#wasDone;
    this.#wasDone = isDone;
    if (isSecondTime && session.state.outboundQueueSize === 0) session.destroy();
  }

  get #isUsable() {
    return !this.#session.closed && !this.#session.destroyed;
  }
}

/** Whether streams of the server's own may be open. No event tells of these. */
function hasPushed({ state }) {
  return state.nextStreamID > FIRST_PUSH;
}

module.exports = Http2Session;
