'use strict';

const rules = require('../rules.js');

/** @typedef {import('./run.js').Trace} Trace */

/** What a rule puts in the place of a word that may be anything. */
const ANYTHING = '*';

/** Whether two texts are the same, but for what may be anything. */
function isSame(one, other) {
  if (one === other || one === '**' || other === '**') return true;
  if (!one.includes(ANYTHING) && !other.includes(ANYTHING)) return false;
  const [words, others] = [one, other].map((text) => text.split(/([ =\n])/));
  return (
    words.length === others.length &&
    words.every((word, at) => word === others[at] || word === ANYTHING || others[at] === ANYTHING)
  );
}

/** What some traces have in a stream, a text each. */
function textsOf(traces, stream) {
  return [...new Set(traces.map((trace) => (trace.get(stream) ?? []).join('\n')))];
}

/**
 * Where all of our traces differ from the referee's, though the referee's agree among themselves.
 *
 * @param {Trace[]} expected the referee's
 * @param {Trace[]} actual ours
 * @returns {{stream: string, expected: string, actual: string}[]}
 */
function differences(expected, actual) {
  const streams = new Set([...expected, ...actual].flatMap((trace) => [...trace.keys()]));
  return [...streams].flatMap((stream) => {
    const [theirs, ours] = [textsOf(expected, stream), textsOf(actual, stream)];
    const isStable = theirs.every((text) => isSame(text, theirs[0]));
    if (!isStable || ours.some((text) => theirs.some((other) => isSame(text, other)))) return [];
    if (ours.some((text) => rules.some(({ allows }) => allows?.(theirs[0], text, isSame))))
      return [];
    return [{ stream, expected: theirs[0], actual: ours[0] }];
  });
}

module.exports = { ANYTHING, differences };
