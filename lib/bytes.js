'use strict';

// Messages in the bytes of V8's serializer, and back.

const { isArrayBufferView } = require('node:util/types');
const v8 = require('node:v8');

// Tags of what V8 leaves to its embedder; as in Node (lib/internal/child_process/serialization.js).
const VIEW = 0;
const PLAIN = 1;

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

function toBytes(message) {
  const serializer = new Serializer();
  serializer.writeHeader();
  serializer.writeValue(message);
  return serializer.releaseBuffer();
}

function fromBytes(bytes) {
  const deserializer = new Deserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}

module.exports = { fromBytes, toBytes };
