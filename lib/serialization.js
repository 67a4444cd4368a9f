'use strict';

// How messages become what the lane carries, by `settings.serialization`, and back: texts in JSON,
// or bytes of V8's serializer. What 'advanced' needs is loaded with the first message that does.

// Bytes of a length.
const LENGTH = 4;

let loaded;

/** Node's 'v8' with its classes is large, and most clusters have no use for it. */
function advanced() {
  loaded ??= { isPlain: require('./plain'), ...require('./bytes') };
  return loaded;
}

function toJson(message) {
  return JSON.stringify(message) ?? 'null';
}

/** A string or a Buffer. */
const encoders = {
  json: toJson,
  // V8's serializer costs several times as much as JSON, for what JSON does as well.
  advanced(message) {
    const { isPlain, toBytes } = advanced();
    return isPlain(message) ? toJson(message) : toBytes(message);
  },
};

/** The messages of `text`: an array of them, or, if it is one, itself. */
function fromTexts(text, count) {
  if (count === 1) return [JSON.parse(text)];
  const messages = JSON.parse(text);
  if (messages.length !== count) throw new SyntaxError('a message is several values');
  return messages;
}

/** The messages of `bytes`, each after its length. */
function fromManyBytes(bytes) {
  const messages = [];
  for (let start = LENGTH; start <= bytes.length; ) {
    const end = start + bytes.readUInt32LE(start - LENGTH);
    messages.push(fromBytes(bytes.subarray(start, end)));
    start = end + LENGTH;
  }
  return messages;
}

function fromBytes(bytes) {
  return advanced().fromBytes(bytes);
}

module.exports = { encoders, fromBytes, fromManyBytes, fromTexts };
