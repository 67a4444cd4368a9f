'use strict';

// How messages become what the lane carries, by `settings.serialization`, and back: texts in JSON,
// or bytes of V8's serializer.

const { isArrayBufferView } = require('node:util/types');
const v8 = require('node:v8');
const isPlain = require('./plain');

// Tags of what V8 leaves to its embedder; as in Node (lib/internal/child_process/serialization.js).
const VIEW = 0;
const PLAIN = 1;
// Bytes of a length.
const LENGTH = 4;

/** Other than `v8.serialize()`, it takes native objects for their own properties, as JSON does. */
class Serializer extends v8.DefaultSerializer {
  _writeHostObject(object) {
    if (isArrayBufferView(object)) {
      this.writeUint32(VIEW);
      super._writeHostObject(object);
      return;
    }
    this.writeUint32(PLAIN);
    this.writeValue({ ...object });
  }
}

class Deserializer extends v8.DefaultDeserializer {
  _readHostObject() {
    return this.readUint32() === VIEW ? super._readHostObject() : this.readValue();
  }
}

function toJson(message) {
  return JSON.stringify(message) ?? 'null';
}

function toBytes(message) {
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue(message);
  return serializer.releaseBuffer();
}

/** A string or a Buffer. */
const encoders = {
  json: toJson,
  // V8's serializer costs several times as much as JSON, for what JSON does as well.
  advanced: (message) => (isPlain(message) ? toJson(message) : toBytes(message)),
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
  const deserializer = new Deserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}

module.exports = { encoders, fromBytes, fromManyBytes, fromTexts };
