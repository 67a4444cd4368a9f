'use strict';

const { isProxy } = require('node:util/types');

// Beyond these, looking is dearer than what it saves, or JSON dearer than V8's serializer.
const MOST_VALUES = 1024;
const MOST_FRACTIONS = 64;
const DEEPEST = 64;
const LONGEST_TEXT = 1024;

/**
 * Whether JSON gives back exactly what V8's serializer does: for a tree of plain objects, arrays,
 * strings, numbers, booleans and null that is not too large, each object in one place.
 */
function isPlain(message) {
  return typeof message === 'object' ? new Tree().isPlainValue(message, 0) : isPlainLeaf(message);
}

function isPlainLeaf(value) {
  switch (typeof value) {
    case 'string':
      return value.length <= LONGEST_TEXT;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'boolean':
      return true;
    default:
      return false;
  }
}

/** What has been seen of one message. */
class Tree {
  #objects = new Set();
  #values = 0;
  #fractions = 0;

  isPlainValue(value, depth) {
    this.#values += 1;
    if (this.#values > MOST_VALUES) return false;
    if (typeof value === 'number' && !Number.isInteger(value)) {
      this.#fractions += 1;
      if (this.#fractions > MOST_FRACTIONS) return false;
    }
    if (typeof value !== 'object') return isPlainLeaf(value);
    if (value === null) return true;
    // Twice the same one, or a circle: only V8's serializer keeps the identity.
    if (depth === DEEPEST || isProxy(value) || this.#objects.has(value)) return false;
    this.#objects.add(value);
    return Array.isArray(value)
      ? this.#isPlainArray(value, depth + 1)
      : this.#isPlainObject(value, depth + 1);
  }

  #isPlainArray(array, depth) {
    return (
      Object.getPrototypeOf(array) === Array.prototype &&
      array.length <= MOST_VALUES &&
      // Neither holes nor members with names.
      Object.keys(array).length === array.length &&
      array.every((value) => this.isPlainValue(value, depth))
    );
  }

  #isPlainObject(object, depth) {
    const prototype = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) return false;
    for (const name of Object.keys(object)) {
      if (name === '__proto__' || !this.isPlainValue(object[name], depth)) return false;
    }
    return true;
  }
}

module.exports = isPlain;
