'use strict';

// Values of PM2's ecosystem file, by the rules of PM2.

const ConfigError = require('./config-error.js');
const countProcessors = require('../supervisor/processors.js');

const WORD = /(?:[^\s"'=]+=)?(?:"[^"]*"|'[^']*')|\S+/g;
const TIME = /^(\d+(?:\.\d+)?)(h|m|s)?$/;
const UNITS = { h: 3_600_000, m: 60_000, s: 1_000 };

/** @returns {string[]} arguments; quotes around a whole word are left out, those after a `=` stay */
function toWords(value) {
  if (Array.isArray(value)) return value.map(String);
  const words = value.match(WORD) ?? [];
  return words.map((word) => /^(["'])(.*)\1$/s.exec(word)?.[2] ?? word).filter((it) => it.trim());
}

/** @returns {number} milliseconds, of a number or a text such as '10s', '5m' or '1h' */
function toTime(name, value) {
  const [, count, unit] = TIME.exec(value) ?? [];
  if (count === undefined) {
    throw new ConfigError(`${name}: "${value}" is not a time such as 2000, "10s", "5m" or "1h"`);
  }
  return Math.round(Number(count) * (UNITS[unit] ?? 1));
}

/** @returns {number | 'auto'} a number of workers: 'max' and 0 stand for all processors, -1 for one less */
function toWorkers(value) {
  if (value === 'max') return 'auto';
  const count = Number(value);
  if (!Number.isInteger(count) || value === '') {
    throw new ConfigError(`instances: "${value}" is not a number of workers, or "max"`);
  }
  if (count === 0) return 'auto';
  return count > 0 ? count : Math.max(1, countProcessors() + count);
}

/**
 * Checks the type of a value. A text that is a number counts as a number.
 *
 * @param {string[]} types
 * @throws {ConfigError}
 */
function checkType(name, value, types) {
  const type = Array.isArray(value) ? 'array' : typeof value;
  if (types.includes(type) && value !== null) return value;
  if (types.includes('number') && type === 'string' && value.trim() !== '') {
    const number = Number(value);
    if (!Number.isNaN(number)) return number;
  }
  throw new ConfigError(`${name}: ${JSON.stringify(value)} is not of type ${types.join(' or ')}`);
}

module.exports = { checkType, toTime, toWords, toWorkers };
