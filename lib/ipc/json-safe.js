'use strict';

// Decides whether a message arrives the same in JSON, with attachments (attachments.js), as in the format of V8's
// serializer, which costs several times as much. The decision neither runs code of the user (accessors, traps of
// proxies, patched methods) nor depends on it, because that code must run as often, and in the same order, as V8's
// serializer runs it.

const {
  isAnyArrayBuffer,
  isBoxedPrimitive,
  isGeneratorObject,
  isMap,
  isMapIterator,
  isModuleNamespaceObject,
  isPromise,
  isProxy,
  isSet,
  isSetIterator,
  isWeakMap,
  isWeakSet,
} = require('node:util/types');

const { isAttachable } = require('./attachments.js');

const { getOwnPropertyDescriptor, getPrototypeOf, is, keys, prototype: plainPrototype } = Object;
const { isArray, prototype: arrayPrototype } = Array;
const { isFinite: isFiniteNumber, isInteger } = Number;
const { isView } = ArrayBuffer;
const { apply } = Reflect;
const { toStringTag } = Symbol;
const { __lookupGetter__: getterOf, toString: tagOf } = plainPrototype;
// Node 18 and 20 do not have it.
const { isRawJSON = () => false } = JSON;

// Beyond these limits, V8's serializer costs less than the decision and JSON together. An object counts as
// several values, because finding out what it is costs that much, and so does a fraction, because of its
// text.
const MOST_VALUES = 64;
const VALUES_AN_OBJECT = 4;
const VALUES_A_FRACTION = 4;
const LONGEST_TEXT = 1024;

/** Nothing is attached to a message. */
const NONE = [];

/**
 * For a tree of plain objects, arrays, strings, numbers, booleans and null that is not too large, and has each
 * object in one place: those of its values that JSON can't carry, or only slowly, each with its path. They are
 * views of bytes and long texts. For all other messages undefined.
 */
function attachmentsOf(message) {
  if (typeof message !== 'object') return isPlainLeaf(message) ? NONE : undefined;
  if (message === null) return NONE;
  if (getPrototypeOf(arrayPrototype) !== plainPrototype) return undefined;
  const tree = new Tree();
  if (!tree.isJsonSafe(message)) return undefined;
  const { attachments } = tree;
  // JSON makes texts of arrays of ours, too.
  return attachments.length > 0 && 'toJSON' in arrayPrototype ? undefined : attachments;
}

function isPlainLeaf(value) {
  switch (typeof value) {
    case 'string':
      return value.length <= LONGEST_TEXT;
    case 'number':
      return isFiniteNumber(value) && !is(value, -0);
    case 'boolean':
      return true;
    default:
      return false;
  }
}

/** What has been visited of one message. */
class Tree {
  /** Few enough for a linear search, because each object counts as several values. */
  seen = [];
  values = 0;
  /** Names and indexes that lead to the value that is visited. */
  path = [];
  depth = 0;
  attachments = NONE;

  /** Takes an object, or an array. */
  isJsonSafe(value) {
    // Only V8's serializer preserves the identity of an object that is in two places, or in itself.
    if (isProxy(value) || this.hasSeen(value)) return false;
    if (isView(value)) return this.isAttached(value);
    return isArray(value) ? this.isPlainArray(value) : this.isPlainObject(value);
  }

  hasSeen(object) {
    const { seen } = this;
    const { length } = seen;
    for (let index = 0; index < length; index += 1) {
      if (seen[index] === object) return true;
    }
    seen[length] = object;
    return false;
  }

  isPlainArray(array) {
    const { length } = array;
    if (!this.countValues(length + VALUES_AN_OBJECT)) return false;
    if (getPrototypeOf(array) !== arrayPrototype || 'toJSON' in array) return false;
    const names = keys(array);
    // Names follow indexes, so these are all of the indexes, and nothing else.
    const isFull = length === 0 || names[length - 1] === `${length - 1}`;
    if (names.length !== length || !isFull) return false;
    for (let index = 0; index < length; index += 1) {
      // For an array this costs a tenth of getting the descriptor.
      if (apply(getterOf, array, [index]) !== undefined) return false;
      if (!this.isPlainMember(array[index], index)) return false;
    }
    return true;
  }

  isPlainObject(object) {
    if (!hasPlainPrototype(object) || 'toJSON' in object || toStringTag in object) return false;
    const names = keys(object);
    // V8's serializer decides about an object without members, because its prototype does not tell what it
    // is.
    if (names.length === 0 || !this.countValues(names.length + VALUES_AN_OBJECT)) return false;
    if (!isOrdinary(object)) return false;
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index];
      if (name === '__proto__') return false;
      // Undefined for an accessor, and so not safe.
      const { value } = getOwnPropertyDescriptor(object, name);
      if (!this.isPlainMember(value, name)) return false;
    }
    return true;
  }

  isPlainMember(value, name) {
    if (typeof value === 'object') return value === null || this.isJsonSafeAt(value, name);
    if (typeof value === 'string' && value.length > LONGEST_TEXT) {
      this.path[this.depth] = name;
      this.depth += 1;
      this.attach(value);
      this.depth -= 1;
      return true;
    }
    if (typeof value === 'number' && !isInteger(value) && !this.countValues(VALUES_A_FRACTION)) {
      return false;
    }
    return isPlainLeaf(value);
  }

  isJsonSafeAt(value, name) {
    this.path[this.depth] = name;
    this.depth += 1;
    const isSafe = this.isJsonSafe(value);
    this.depth -= 1;
    return isSafe;
  }

  isAttached(view) {
    if (!this.countValues(VALUES_AN_OBJECT) || !isAttachable(view)) return false;
    this.attach(view);
    return true;
  }

  attach(value) {
    if (this.attachments === NONE) this.attachments = [];
    const { attachments, depth } = this;
    const path = [];
    for (let index = 0; index < depth; index += 1) path[index] = this.path[index];
    attachments[attachments.length] = { path, value };
  }

  /** Counts more values. Returns whether the limit allows them. */
  countValues(values) {
    this.values += values;
    return this.values <= MOST_VALUES;
  }
}

function hasPlainPrototype(object) {
  const prototype = getPrototypeOf(object);
  if (prototype !== null) return prototype === plainPrototype;
  // These have no prototype, and can't be given one.
  return !isModuleNamespaceObject(object) && !isRawJSON(object);
}

/** Whether an object without `Symbol.toStringTag` has no internal slots that V8's serializer looks at. */
function isOrdinary(object) {
  return (
    // This finds `arguments`, errors, dates, regular expressions and most boxed primitives.
    apply(tagOf, object, []) === '[object Object]' &&
    !isMap(object) &&
    !isSet(object) &&
    !isAnyArrayBuffer(object) &&
    !isBoxedPrimitive(object) &&
    !isPromise(object) &&
    !isWeakMap(object) &&
    !isWeakSet(object) &&
    !isGeneratorObject(object) &&
    !isMapIterator(object) &&
    !isSetIterator(object)
  );
}

module.exports = attachmentsOf;
