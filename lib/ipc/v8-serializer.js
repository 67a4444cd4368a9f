'use strict';

// Messages into the format of V8's serializer, and back, as Node's own channels do it
// (lib/internal/child_process/serialization.js; since Node 24, src/node_ipc_serdes.cc).

const { Buffer } = require('node:buffer');
const { isArrayBufferView } = require('node:util/types');
const v8 = require('node:v8');

const majorVersion = Number.parseInt(process.versions.node, 10);
const LOOKS_INSIDE_VIEWS = majorVersion >= 24;

// Tags of the objects that V8 leaves to Node.
const VIEW = 0;
const PLAIN = 1;

// The numbers of types, which follow the tag of a view.
const BUFFER = 10;
const VIEW_TYPES = {
  __proto__: null,
  Int8Array: 0,
  Uint8Array: 1,
  Uint8ClampedArray: 2,
  Int16Array: 3,
  Uint16Array: 4,
  Int32Array: 5,
  Uint32Array: 6,
  Float32Array: 7,
  Float64Array: 8,
  DataView: 9,
  BigInt64Array: 11,
  BigUint64Array: 12,
  Float16Array: 13,
};

const { apply } = Reflect;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
/** Gets the name of a typed array's type; undefined for a DataView. */
const nameOfTypedArray = getterOf(typedArray, Symbol.toStringTag);
const partsOfTypedArray = partsOf(typedArray);
const partsOfDataView = partsOf(DataView.prototype);

function getterOf(prototype, name) {
  return Object.getOwnPropertyDescriptor(prototype, name).get;
}

function partsOf(prototype) {
  return ['buffer', 'byteOffset', 'byteLength'].map((name) => getterOf(prototype, name));
}

/** The bytes of a view, from its internal slots; none if its buffer is detached. */
function bytesOf(view, [buffer, byteOffset, byteLength]) {
  try {
    return new Uint8Array(
      apply(buffer, view, []),
      apply(byteOffset, view, []),
      apply(byteLength, view, []),
    );
  } catch {
    return new Uint8Array();
  }
}

/** Unlike `v8.serialize()`, it writes the own properties of native objects, as JSON does. */
class Serializer extends v8.DefaultSerializer {
  _writeHostObject(object) {
    if (isArrayBufferView(object)) {
      this.writeUint32(VIEW);
      this.writeView(object);
      return;
    }
    this.writeUint32(PLAIN);
    this.writeValue({ ...object });
  }

  writeView(view) {
    super._writeHostObject(view);
  }
}

/** Writes views by their internal slots. Older versions of Node use their prototypes and members. */
class InsideSerializer extends Serializer {
  writeView(view) {
    const name = apply(nameOfTypedArray, view, []);
    const type = view.constructor === Buffer ? BUFFER : VIEW_TYPES[name ?? 'DataView'];
    const bytes = bytesOf(view, name === undefined ? partsOfDataView : partsOfTypedArray);
    this.writeUint32(type);
    this.writeUint32(bytes.length);
    this.writeRawBytes(bytes);
  }
}

class Deserializer extends v8.DefaultDeserializer {
  _readHostObject() {
    return this.readUint32() === VIEW ? super._readHostObject() : this.readValue();
  }
}

const SerializerOfNode = LOOKS_INSIDE_VIEWS ? InsideSerializer : Serializer;

function toBytes(message) {
  const serializer = new SerializerOfNode();
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
