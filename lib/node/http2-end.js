'use strict';

const { setImmediate } = require('../real-timers.js');

/**
 * Lets a session send the end of its last stream after it has been closed.
 *
 * Node 18 destroys a closed session as soon as it has no stream left, before it has sent the end of the last
 * one: the client gets no answer then.
 */
function destroyWhenSent(session) {
  const { destroy } = session;
  session.destroy = function destroyLater(...args) {
    // Node itself passes one argument, which is undefined when nothing is wrong (see kMaybeDestroy in
    // lib/internal/http2/core.js). All else is the program's wish, or an error.
    const isGraceful = args.length === 1 && (args[0] === undefined || args[0] === null);
    if (!isGraceful) return destroy.apply(this, args);
    // The session sends in the turn that follows.
    return setImmediate(() => setImmediate(() => destroy.apply(this, args)));
  };
}

module.exports = { destroyWhenSent };
