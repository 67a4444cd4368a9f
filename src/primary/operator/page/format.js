'use strict';

// Numbers and times for people, in widths that hardly change.

const UNKNOWN = '–';
const MILLION = 1e6;
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', {
  notation: 'compact',
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

const isNumber = (value) => Number.isFinite(value);

/** `1,234`; from a million on `1.23M`. */
function count(value) {
  if (!isNumber(value)) return UNKNOWN;
  return value < MILLION ? whole.format(value) : compact.format(value);
}

/** One decimal below 10, where it tells something. */
function rate(value) {
  if (!isNumber(value)) return UNKNOWN;
  return value > 0 && value < 9.95 ? value.toFixed(1) : count(value);
}

function percent(value) {
  if (!isNumber(value)) return UNKNOWN;
  return value >= 0.05 && value < 9.95 ? `${value.toFixed(1)}%` : `${whole.format(value)}%`;
}

/** Three digits and a unit: `84.2 MB`, where 1 MB is 1024 KB, as `top` has it. */
function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? rest : digits(rest)} ${units[unit]}`;
}

function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** The two largest units of a time in milliseconds: `3d 04h`, `12m 05s`, `42s`. */
function age(milliseconds) {
  if (!isNumber(milliseconds)) return UNKNOWN;
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit));
  const two = (value) => `${value}`.padStart(2, '0');
  if (days > 0) return `${days}d ${two(hours % 24)}h`;
  if (hours > 0) return `${hours}h ${two(minutes % 60)}m`;
  if (minutes > 0) return `${minutes}m ${two(seconds % 60)}s`;
  return `${seconds}s`;
}

/** A time in milliseconds in one unit, for sentences: `340 ms`, `2.1 s`, `5 min`. */
function time(milliseconds) {
  if (!isNumber(milliseconds)) return UNKNOWN;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < 120_000) return `${Math.round(milliseconds / 1000)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}

/** How long ago something was, in one unit: `now`, `42 s`, `5 min`, `3 h`, `2 d`. */
function ago(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A latency, from microseconds: `84 µs`, `1.24 ms`. */
function latency(micros) {
  if (!isNumber(micros)) return UNKNOWN;
  if (micros < 1000) return `${Math.round(micros)} µs`;
  return micros < 1e6 ? `${digits(micros / 1000)} ms` : `${digits(micros / 1e6)} s`;
}

/** A power of ten microseconds: `100 µs`, `1 ms`. */
function power(micros) {
  if (micros < 1000) return `${micros} µs`;
  return micros < 1e6 ? `${micros / 1000} ms` : `${micros / 1e6} s`;
}

function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** `1, 2 and 3`, the first few of many. */
function list(items, most = 6) {
  const shown = items.slice(0, most).map(String);
  if (items.length > most) return `${shown.join(', ')} and ${items.length - most} more`;
  const last = shown.pop();
  return shown.length > 0 ? `${shown.join(', ')} and ${last}` : last;
}
