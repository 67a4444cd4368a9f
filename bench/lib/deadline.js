'use strict';

const { UserError } = require('../../tools/user-error.js');

/** Resolves as `promise`, or rejects with a UserError with `message` after `milliseconds`. */
async function withDeadline(promise, milliseconds, message) {
  let timer;
  const deadline = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new UserError(message())), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = { withDeadline };
