'use strict';

const rules = require('../rules.js');
const { isSame } = require('./trace.js');

/** @typedef {import('./trace.js').Trace} Trace */

/**
 * Finds the streams in which all traces of rs-cluster differ from those of the reference, although the traces of
 * the reference agree with each other.
 *
 * @param {Trace[]} expected traces of the reference
 * @param {Trace[]} actual traces of rs-cluster
 * @returns {{stream: string, expected: string, actual: string}[]}
 */
function differences(expected, actual) {
  const streams = new Set([...expected, ...actual].flatMap((trace) => [...trace.keys()]));
  return [...streams].flatMap((stream) => {
    const [theirs, ours] = [expected, actual].map((traces) => traces.map((it) => it.text(stream)));
    const isStable = theirs.every((text) => isSame(text, theirs[0]));
    if (!isStable || ours.some((text) => theirs.some((other) => isAllowed(other, text)))) return [];
    return [{ stream, expected: theirs[0], actual: ours[0] }];
  });
}

function isAllowed(expected, actual) {
  return isSame(expected, actual) || rules.some(({ allows }) => allows?.(expected, actual));
}

module.exports = { differences };
