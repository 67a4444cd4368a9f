'use strict';

const errors = require('../errors.js');
const { LONGEST_TIMEOUT } = require('../primary/settings.js');

const SIZE = /^(\d+(?:\.\d+)?) ?(K|M|G|T)?(?:i?B)?$/i;
const PREFIXES = ['', 'K', 'M', 'G', 'T'];
const STEP = 1024;

/** @throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` unless the value is a whole number in the range */
function checkInteger(name, value, least, most = Number.MAX_SAFE_INTEGER) {
  checkNumber(name, value, least, most);
  if (!Number.isInteger(value)) throw errors.outOfRange(name, 'an integer', value);
}

/** @throws `ERR_INVALID_ARG_TYPE` or `ERR_OUT_OF_RANGE` unless the value is a number in the range */
function checkNumber(name, value, least, most) {
  if (typeof value !== 'number') throw errors.invalidArgType(name, 'of type number', value);
  if (!(value >= least && value <= most)) {
    throw errors.outOfRange(name, `>= ${least} && <= ${most}`, value);
  }
}

/** Checks a time in milliseconds. */
function checkTime(name, value, least = 0) {
  checkInteger(name, value, least, LONGEST_TIMEOUT);
}

function checkBoolean(name, value) {
  if (typeof value !== 'boolean') throw errors.invalidArgType(name, 'of type boolean', value);
}

function checkObject(name, value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw errors.invalidArgType(name, 'of type object', value);
  }
}

/** Checks a path of the system. */
function checkPath(name, value) {
  if (typeof value !== 'string') throw errors.invalidArgType(name, 'of type string', value);
  if (value === '' || value.includes('\0')) {
    throw errors.invalidArgValue(name, value, 'must be a path');
  }
}

function checkStrings(name, value) {
  if (!Array.isArray(value)) throw errors.invalidArgType(name, 'an instance of Array', value);
  for (const [index, member] of value.entries()) {
    if (typeof member === 'string') continue;
    throw errors.invalidArgType(`${name}[${index}]`, 'of type string', member);
  }
}

/** The number of bytes that a number, or a text such as '512M' or '1.5 GiB', stands for. */
function bytesOf(name, value) {
  if (typeof value === 'number') {
    checkInteger(name, value, 0);
    return value;
  }
  if (typeof value !== 'string') {
    throw errors.invalidArgType(name, 'of type number or string', value);
  }
  const [, count, prefix = ''] = SIZE.exec(value) ?? [];
  if (count === undefined) {
    throw errors.invalidArgValue(
      name,
      value,
      "must be a number of bytes, or a size such as '512M'",
    );
  }
  const bytes = Math.round(count * STEP ** PREFIXES.indexOf(prefix.toUpperCase()));
  checkInteger(name, bytes, 0);
  return bytes;
}

module.exports = {
  bytesOf,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkObject,
  checkPath,
  checkStrings,
  checkTime,
};
