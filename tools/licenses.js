'use strict';

// Expressions of licenses, as crates and npm packages have them: "MIT OR Apache-2.0", "MIT/Apache-2.0",
// "(MIT OR Apache-2.0) AND Unicode-3.0".

/** The words of an expression; old crates separate alternatives by a slash. */
function wordsOf(expression) {
  return expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? [];
}

/** Reads one expression; operators of the later kinds bind tighter: OR, then AND, then a license. */
class Reader {
  #words;
  #allowed;

  constructor(words, allowed) {
    this.#words = words;
    this.#allowed = allowed;
  }

  get isAtEnd() {
    return this.#words.length === 0;
  }

  alternatives() {
    let result = this.#conditions();
    while (this.#take('OR')) result = this.#conditions() || result;
    return result;
  }

  #conditions() {
    let result = this.#license();
    while (this.#take('AND')) result = this.#license() && result;
    return result;
  }

  #license() {
    if (this.#take('(')) {
      const result = this.alternatives();
      return this.#take(')') && result;
    }
    const name = this.#words.shift();
    // An exception only allows more than the license does.
    if (this.#take('WITH')) this.#words.shift();
    return this.#allowed.includes(name);
  }

  #take(word) {
    if (this.#words[0] !== word) return false;
    this.#words.shift();
    return true;
  }
}

/**
 * Whether one may use something under this expression if only `allowed` licenses may apply. False for what
 * is not such an expression.
 *
 * @param {unknown} expression
 * @param {string[]} allowed
 */
function isAllowed(expression, allowed) {
  if (typeof expression !== 'string') return false;
  const reader = new Reader(wordsOf(expression), allowed);
  return reader.alternatives() && reader.isAtEnd;
}

module.exports = { isAllowed };
