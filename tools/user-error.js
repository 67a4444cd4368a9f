'use strict';

/** An error that the user can act on: only its message is printed, without a stack. */
class UserError extends Error {
  name = 'UserError';
}

module.exports = { UserError };
