'use strict';

// Messages of JSON with attachments: what JSON does not carry, or not quickly, is left out of the JSON and
// follows it as bytes. Views of bytes and long texts are such values. V8's serializer costs more than this where
// a message has few other values, because each message needs objects of V8's that only the garbage collector frees.
//
//     | 0 | length of the head (4 bytes) | head | attachments |
//
// The head is an array in JSON: the message, with null for each attachment, and then for each attachment where
// it belongs (a path of names and indexes), its type, and its length in bytes. Views of larger numbers are aligned, so
// the receiver can look at them where they are.

const { Buffer } = require('node:buffer');

const { parse, stringify } = JSON;
const { getPrototypeOf, getOwnPropertyDescriptor, hasOwn } = Object;
const { isArray } = Array;
const { isSafeInteger } = Number;
const { ceil } = Math;
const { apply } = Reflect;
const { latin1Write, ucs2Write, utf8Write } = Buffer.prototype;
const { allocUnsafeSlow, byteLength: lengthInUtf8, from } = Buffer;
const typedArray = getPrototypeOf(Uint8Array.prototype);
const { set: setBytes } = typedArray;
const bufferOf = getterOf('buffer');
const offsetOf = getterOf('byteOffset');
const lengthOf = getterOf('byteLength');

function getterOf(name) {
  return getOwnPropertyDescriptor(typedArray, name).get;
}

/** The first byte. V8's format begins with another one. */
const MARK = 0;
const HEAD = 5;

// The types of texts; those of views follow.
const ASCII = 0;
const UTF16 = 1;
const FIRST_VIEW = 2;
const LAST_OF_BYTES = 3;

/** A multiple of the size of every number. */
const ALIGNMENT = 8;

// Their order is that of their numbers.
const VIEWS = [
  Buffer,
  Uint8Array,
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
const prototypesOfViews = VIEWS.map(({ prototype }) => prototype);

/** What Node reads of a view, depending on its version. Own members may be anything. */
const MEMBERS = ['constructor', 'buffer', 'byteOffset', 'byteLength', Symbol.toStringTag];

/** What most messages are written into. The channel copies it before the next one. */
let scratch;
const SCRATCH_BYTES = 64 * 1024;

// What follows calls no method that a program may have replaced, because the choice between this format and
// V8's must not show (json-safe.js).

/** The number of a type of views, or -1. */
function typeOf(prototype) {
  for (let index = 0; index < prototypesOfViews.length; index += 1) {
    if (prototypesOfViews[index] === prototype) return FIRST_VIEW + index;
  }
  return -1;
}

/**
 * Whether a view can be an attachment. One without bytes may be that of a detached buffer, which some versions
 * of Node refuse.
 */
function isAttachable(view) {
  if (typeOf(getPrototypeOf(view)) === -1 || apply(lengthOf, view, []) === 0) return false;
  for (let index = 0; index < MEMBERS.length; index += 1) {
    if (hasOwn(view, MEMBERS[index])) return false;
  }
  return true;
}

/**
 * @param {unknown} message that JSON carries unchanged, except for the attachments
 * @param {{path: (string | number)[], value: string | ArrayBufferView}[]} attachments
 * @returns {Buffer} valid until the next call
 */
function toBytes(message, attachments) {
  const head = [withoutAttachments(message, attachments)];
  for (let index = 0; index < attachments.length; index += 1) {
    const { path, value } = attachments[index];
    const part = [path, 0, 0];
    describe(value, part);
    head[index + 1] = part;
  }
  const text = stringify(head);
  const textLength = lengthInUtf8(text);
  let start = HEAD + textLength;
  const bytes = roomFor(endOf(head, start));
  bytes[0] = MARK;
  for (let byte = 0; byte < 4; byte += 1) bytes[1 + byte] = textLength >>> (8 * byte);
  apply(textLength === text.length ? latin1Write : utf8Write, bytes, [text, HEAD, textLength]);
  for (let index = 0; index < attachments.length; index += 1) {
    const part = head[index + 1];
    // The memory may have held other messages.
    for (const place = placeFor(part[1], start); start < place; start += 1) bytes[start] = 0;
    write(bytes, start, attachments[index].value, part[1], part[2]);
    start += part[2];
  }
  return bytes;
}

/** Where the last attachment ends, if the first may begin at `start`. */
function endOf(head, start) {
  let end = start;
  for (let index = 1; index < head.length; index += 1) {
    const part = head[index];
    end = placeFor(part[1], end) + part[2];
  }
  return end;
}

/** Where an attachment begins, from this position on. */
function placeFor(type, position) {
  return type <= LAST_OF_BYTES ? position : align(position);
}

/** The next position from this one on, at which any number can be looked at. */
function align(position) {
  return ceil(position / ALIGNMENT) * ALIGNMENT;
}

function roomFor(length) {
  if (length > SCRATCH_BYTES) return allocUnsafeSlow(length);
  scratch ??= allocUnsafeSlow(SCRATCH_BYTES).buffer;
  return from(scratch, 0, length);
}

/** Fills in the type and the length in bytes. */
function describe(value, part) {
  if (typeof value !== 'string') {
    part[1] = typeOf(getPrototypeOf(value));
    part[2] = apply(lengthOf, value, []);
    return;
  }
  const isAscii = lengthInUtf8(value) === value.length;
  // UTF-8 has no lone surrogates.
  part[1] = isAscii ? ASCII : UTF16;
  part[2] = isAscii ? value.length : 2 * value.length;
}

function write(bytes, start, value, type, length) {
  if (type === ASCII) apply(latin1Write, bytes, [value, start, length]);
  else if (type === UTF16) apply(ucs2Write, bytes, [value, start, length]);
  else apply(setBytes, bytes, [bytesOf(value, type, length), start]);
}

function bytesOf(view, type, length) {
  if (type <= LAST_OF_BYTES) return view;
  return new Uint8Array(apply(bufferOf, view, []), apply(offsetOf, view, []), length);
}

/** A copy that has null in place of attachments, and shares with the message what has none. */
function withoutAttachments(message, attachments) {
  const root = { message };
  for (let index = 0; index < attachments.length; index += 1) {
    const { path } = attachments[index];
    const before = index === 0 ? undefined : attachments[index - 1].path;
    let holder = root;
    let name = 'message';
    // Those that lead to the attachment before this one have been copied.
    let isCopied = before !== undefined;
    for (let depth = 0; depth < path.length; depth += 1) {
      if (depth > 0) isCopied &&= before[depth - 1] === path[depth - 1];
      if (!isCopied) holder[name] = copyOf(holder[name]);
      holder = holder[name];
      name = path[depth];
    }
    holder[name] = null;
  }
  return root.message;
}

function copyOf(value) {
  if (!isArray(value)) return { ...value };
  const copy = [];
  for (let index = 0; index < value.length; index += 1) copy[index] = value[index];
  return copy;
}

/** Whether bytes are a message of `toBytes()`. */
function isMarked(bytes) {
  return bytes[0] === MARK;
}

/**
 * Trusts nothing: a worker may have written the bytes.
 *
 * @throws {Error} for anything that `toBytes()` does not write
 */
function fromBytes(bytes) {
  const end = HEAD + bytes.readUInt32LE(1);
  if (end > bytes.length) throw new RangeError('it is too short');
  const [message, ...parts] = parse(bytes.utf8Slice(HEAD, end));
  const root = { message };
  let start = end;
  for (const [path, type, length] of parts) {
    start = placeFor(type, start);
    if (!isSafeInteger(length) || length < 0 || start + length > bytes.length) {
      throw new RangeError('an attachment is too short');
    }
    attach(root, path, read(bytes, type, start, length));
    start += length;
  }
  return root.message;
}

/** Every name on the path has to be there already, so none of a prototype is reached. */
function attach(root, path, value) {
  let holder = root;
  let name = 'message';
  for (const next of path) {
    holder = holder[name];
    name = next;
    if (holder === null || typeof holder !== 'object' || !hasOwn(holder, name)) {
      throw new TypeError('an attachment has no place');
    }
  }
  if (holder[name] !== null) throw new TypeError('an attachment has no place');
  holder[name] = value;
}

function read(bytes, type, start, length) {
  if (type === ASCII) return bytes.latin1Slice(start, start + length);
  if (type === UTF16) return bytes.ucs2Slice(start, start + length);
  const View = VIEWS[type - FIRST_VIEW];
  if (View === undefined) throw new TypeError('an attachment is of no type');
  if (View === Buffer) return bytes.subarray(start, start + length);
  const offset = bytes.byteOffset + start;
  if (View === Uint8Array) return new Uint8Array(bytes.buffer, offset, length);
  const size = View.BYTES_PER_ELEMENT;
  if (length % size !== 0) throw new RangeError('an attachment is too short');
  if (offset % size === 0) return new View(bytes.buffer, offset, length / size);
  return new View(bytes.buffer.slice(offset, offset + length));
}

module.exports = { align, fromBytes, isAttachable, isMarked, toBytes };
