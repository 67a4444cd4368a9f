'use strict';

// The values of options: each function gets the name of the option, as it is written, and the text.

const { usageError } = require('./errors.js');

const TIME = /^(\d+(?:\.\d+)?) ?(ms|s|m|min|h|d)?$/;
const UNITS = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const WHOLE = /^\d+$/;

/** Milliseconds, of a plain number or one with a unit such as `30s`. */
function time(name, text) {
  return timeOf(name, text, { unit: 'ms', units: 'milliseconds' });
}

/** The same, where a plain number is seconds. */
function seconds(name, text) {
  return timeOf(name, text, { unit: 's', units: 'seconds' });
}

function timeOf(name, text, plain) {
  const [, count, unit = plain.unit] = TIME.exec(text) ?? [];
  if (count === undefined) {
    throw usageError(
      `${name} takes ${plain.units}, or a time such as 500ms, 30s, 5m or 1h, not '${text}'`,
    );
  }
  return Math.round(Number(count) * UNITS[unit]);
}

function whole(name, text) {
  if (!WHOLE.test(text)) throw usageError(`${name} takes a whole number, not '${text}'`);
  return Number(text);
}

function number(name, text) {
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) {
    throw usageError(`${name} takes a number, not '${text}'`);
  }
  return value;
}

function workers(name, text) {
  if (text === 'auto' || text === 'max') return 'auto';
  if (!WHOLE.test(text)) throw usageError(`${name} takes a number or 'auto', not '${text}'`);
  return Number(text);
}

/** `5`, `5/1m` for five within a minute, or `none`. */
function restarts(name, text) {
  if (text === 'unlimited') return Number.POSITIVE_INFINITY;
  const [count, within, ...rest] = text.split('/');
  if (!WHOLE.test(count) || rest.length > 0) {
    throw usageError(
      `${name} takes a number, a number within a time such as 5/1m, or unlimited, not '${text}'`,
    );
  }
  return within === undefined
    ? Number(count)
    : { count: Number(count), within: time(name, within) };
}

function oneOf(words) {
  return (name, text) => {
    if (words.includes(text)) return text;
    throw usageError(`${name} takes ${listed(words)}, not '${text}'`);
  };
}

function listed(words) {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** The words of a text, as a shell splits them: quotes and backslashes keep spaces. */
function words(name, text) {
  const found = [];
  let word;
  let quote = '';
  for (let index = 0; index < text.length; index += 1) {
    const letter = text[index];
    if (letter === '\\' && quote !== "'" && index + 1 < text.length) {
      index += 1;
      word = (word ?? '') + text[index];
    } else if (quote !== '' ? letter === quote : letter === '"' || letter === "'") {
      quote = quote === '' ? letter : '';
      word ??= '';
    } else if (quote === '' && /\s/.test(letter)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else word = (word ?? '') + letter;
  }
  if (quote !== '') throw usageError(`${name} has a quote that does not end: ${text}`);
  return word === undefined ? found : [...found, word];
}

const text = (_name, value) => value;

module.exports = { listed, number, oneOf, restarts, seconds, text, time, whole, words, workers };
