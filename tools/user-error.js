'use strict';

/** Something the person at the terminal can act on: printed as its message, without a stack. */
class UserError extends Error {
  name = 'UserError';
}

module.exports = { UserError };
