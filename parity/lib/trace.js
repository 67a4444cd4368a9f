'use strict';

/** The word with which a rule replaces a word that may be anything. */
const ANYTHING = '*';
/** The text of a stream that may be anything. */
const ANY_TEXT = '**';

/** The trace of one run of a program: lines by stream. */
class Trace extends Map {
  #leftOut = [];

  add(stream, line) {
    if (!this.has(stream)) this.set(stream, []);
    this.get(stream).push(line);
  }

  /** The lines of a stream; an empty list if nothing was traced there. */
  lines(stream) {
    return this.get(stream) ?? [];
  }

  /** Lets streams with matching names have any text, or be missing. */
  leaveOut(pattern) {
    this.#leftOut.push(pattern);
  }

  /** Leaves out what a worker traces, and what the primary traces about it. */
  leaveOutWorker(number) {
    this.leaveOut(new RegExp(`^(?:W|P:[a-z]*)${number}\\b`));
  }

  text(stream) {
    if (this.#leftOut.some((pattern) => pattern.test(stream))) return ANY_TEXT;
    return this.lines(stream).join('\n');
  }
}

/** Whether two texts are the same, except for words that may be anything. */
function isSame(one, other) {
  if (one === other || one === ANY_TEXT || other === ANY_TEXT) return true;
  if (!one.includes(ANYTHING) && !other.includes(ANYTHING)) return false;
  const [words, others] = [one, other].map((text) => text.split(/([ =\n])/));
  return (
    words.length === others.length &&
    words.every((word, at) => word === others[at] || word === ANYTHING || others[at] === ANYTHING)
  );
}

module.exports = { Trace, isSame };
