'use strict';

const { parseArgs } = require('node:util');
const { UserError } = require('./user-error.js');

/** `parseArgs`, with errors that the user can correct. */
function parse(argv, options) {
  try {
    return parseArgs({ args: argv, options, allowPositionals: true });
  } catch (error) {
    throw new UserError(error.message);
  }
}

function positiveInteger(name, text) {
  if (!/^[1-9]\d{0,5}$/.test(text)) {
    throw new UserError(`--${name} must be a whole number from 1, not "${text}".`);
  }
  return Number(text);
}

module.exports = { parse, positiveInteger };
