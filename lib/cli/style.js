'use strict';

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};
const DEFAULT_WIDTH = 80;

/**
 * Whether to use colors on a stream: on a terminal, unless NO_COLOR or TERM=dumb says otherwise; FORCE_COLOR has
 * the last word, as in Node.
 */
function hasColors(stream, { FORCE_COLOR, NO_COLOR, TERM } = process.env) {
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && !NO_COLOR && TERM !== 'dumb';
}

/** Functions that color a text, by the names of the colors; they change nothing where there are no colors. */
function styleFor(stream) {
  const isOn = hasColors(stream);
  const paint = ([on, off]) =>
    isOn ? (text) => `\x1b[${on}m${text}\x1b[${off}m` : (text) => `${text}`;
  return Object.fromEntries(Object.entries(CODES).map(([name, codes]) => [name, paint(codes)]));
}

/** How many columns a stream has; what is no terminal has no limit. */
function widthOf(stream) {
  return stream.isTTY ? stream.columns || DEFAULT_WIDTH : Number.POSITIVE_INFINITY;
}

/** A text from elsewhere without characters that would control the terminal. */
function printable(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
  return `${text}`.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\u{fffd}');
}

module.exports = { hasColors, printable, styleFor, widthOf };
