'use strict';

// Numbers for people.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NONE = '-';

/** A time in milliseconds by its two largest units: `2h 13m`. */
function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < SECOND) return `${Math.round(ms)}ms`;
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(ms < 10 * SECOND ? 1 : 0)}s`;
  if (ms < HOUR) return two(ms, [MINUTE, 'm'], [SECOND, 's']);
  if (ms < DAY) return two(ms, [HOUR, 'h'], [MINUTE, 'm']);
  return two(ms, [DAY, 'd'], [HOUR, 'h']);
}

function two(ms, [large, one], [small, other]) {
  return `${Math.floor(ms / large)}${one} ${Math.floor((ms % large) / small)}${other}`;
}

/** Bytes, in powers of 1024 as `--max-memory` takes them: `45.2M`. */
function bytes(size) {
  if (size === null || size === undefined) return NONE;
  const units = ['B', 'K', 'M', 'G', 'T'];
  const power = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), units.length - 1);
  const value = size / 1024 ** power;
  return `${value < 100 && power > 0 ? value.toFixed(1) : Math.round(value)}${units[power]}`;
}

/** A count with separators: `1,234,567`. */
function integer(value) {
  if (value === null || value === undefined) return NONE;
  return `${Math.round(value)}`.replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Microseconds: `12 µs`, `1.5 ms`. */
function micros(value) {
  if (value === null || value === undefined) return NONE;
  return value < 1_000 ? `${Math.round(value)}µs` : `${(value / 1_000).toFixed(1)}ms`;
}

function plural(number, noun) {
  return `${integer(number)} ${noun}${number === 1 ? '' : 's'}`;
}

module.exports = { NONE, bytes, duration, integer, micros, plural };
