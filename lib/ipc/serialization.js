'use strict';

// How messages become what the IPC channel carries, by `settings.serialization`, and back: texts in JSON,
// or bytes of V8's serializer. Node's 'v8' with its classes is loaded with the first message that needs it.

const isJsonSafe = require('./json-safe');

// Node's own channels do not heed what users put in their place either.
const { parse, stringify } = JSON;

// Bytes of a length.
const LENGTH = 4;

let loaded;

/** Large, and of no use to most clusters. */
function bytes() {
  loaded ??= require('./v8-serializer');
  return loaded;
}

function toJson(message) {
  return stringify(message) ?? 'null';
}

/** A string or a Buffer. */
const encoders = {
  json: toJson,
  // V8's serializer costs several times as much as JSON, for what JSON does as well.
  advanced(message) {
    return isJsonSafe(message) ? toJson(message) : bytes().toBytes(message);
  },
};

/** The messages of `text`: an array of them, or, if it is one, itself. */
function fromTexts(text, count) {
  if (count === 1) return [parse(text)];
  const messages = parse(text);
  if (messages.length !== count) throw new SyntaxError('a message is several values');
  return messages;
}

/** The messages of `many`, each after its length. */
function fromManyBytes(many) {
  const messages = [];
  for (let start = LENGTH; start <= many.length; ) {
    const end = start + many.readUInt32LE(start - LENGTH);
    messages.push(fromBytes(many.subarray(start, end)));
    start = end + LENGTH;
  }
  return messages;
}

function fromBytes(message) {
  return bytes().fromBytes(message);
}

module.exports = { encoders, fromBytes, fromManyBytes, fromTexts };
