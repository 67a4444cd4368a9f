'use strict';

const WARNING = /^\(node:\d+\) .*/m;
const NUMBER = /\d[\d.,:]*( ?(ms|µs|s|m|min|h|d|B|[kKMG]i?B?|%)(?![A-Za-z]))?/g;

/** The lines of an output, without differences from run to run, mainly process ids. */
function normalized(output, isLike) {
  return output
    .split('\n')
    .map((line) =>
      isLike
        ? line
            .replace(NUMBER, 'N')
            .replace(/[-─━═]{2,}/g, '-')
            .replace(/\s+/g, ' ')
            .trim()
        : line.replace(/\d{3,}/g, 'N').trim(),
    )
    .filter(Boolean);
}

/**
 * @param {string} output what a block has printed
 * @param {string} printed what the document says, in any order
 * @param {{ like?: string, partly?: string }} setup see block-steps.js
 * @throws if they differ
 */
function compareOutput(output, printed, setup) {
  const lines = normalized(output, 'like' in setup);
  const expected = normalized(printed, 'like' in setup);
  const missing = expected.filter((line) => !lines.includes(line));
  if (missing.length > 0) throw new Error(`it did not print:\n${missing.join('\n')}`);
  const others = lines.filter((line) => !expected.includes(line));
  if (others.length > 0 && !('partly' in setup)) {
    throw new Error(`it printed more:\n${others.join('\n')}`);
  }
}

/** @throws if there is a process warning */
function refuseWarnings(output) {
  const [warning] = WARNING.exec(output) ?? [];
  if (warning) throw new Error(`it printed a warning: ${warning}`);
}

module.exports = { compareOutput, refuseWarnings };
