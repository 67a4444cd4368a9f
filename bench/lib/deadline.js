'use strict';

const { UserError } = require('../../tools/user-error.js');

/** `promise`, or a UserError saying `message` when it takes longer than `milliseconds`. */
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
