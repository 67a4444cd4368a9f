'use strict';

const { isProxy } = require('node:util/types');

// Beyond these, looking is dearer than what it saves.
const MOST_VALUES = 64;
const LONGEST_TEXT = 1024;

/**
 * Whether JSON gives back exactly what V8's serializer does: for a small tree of plain objects,
 * arrays, strings, numbers, booleans and null, each object in one place.
 */
function isPlain(message) {
  return typeof message === 'object' ? isPlainTree(message) : isPlainLeaf(message);
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

function isPlainTree(root) {
  const objects = [];
  let values = 0;
  const isPlainValue = (value) => {
    values += 1;
    if (values > MOST_VALUES) return false;
    if (typeof value !== 'object') return isPlainLeaf(value);
    if (value === null) return true;
    // Twice the same one, or a circle: only V8's serializer keeps the identity.
    if (isProxy(value) || objects.includes(value)) return false;
    objects.push(value);
    return Array.isArray(value) ? isPlainArray(value) : isPlainObject(value);
  };
  const isPlainArray = (array) =>
    Object.getPrototypeOf(array) === Array.prototype &&
    array.length <= MOST_VALUES &&
    // Neither holes nor members with names.
    Object.keys(array).length === array.length &&
    array.every(isPlainValue);
  const isPlainObject = (object) => {
    const prototype = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) return false;
    for (const name of Object.keys(object)) {
      if (name === '__proto__' || !isPlainValue(object[name])) return false;
    }
    return true;
  };
  return isPlainValue(root);
}

module.exports = isPlain;
