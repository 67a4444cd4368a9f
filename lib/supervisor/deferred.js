'use strict';

/** A promise, and how to settle it. A program that does not wait for it need not handle its rejection. */
function deferred() {
  const it = {};
  it.promise = new Promise((resolve, reject) => Object.assign(it, { resolve, reject }));
  it.promise.catch(() => {});
  return it;
}

module.exports = deferred;
