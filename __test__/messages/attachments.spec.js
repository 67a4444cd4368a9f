'use strict';

const path = require('node:path');
const test = require('ava');
const { ROOT, isBuiltin, specifier } = require('../helpers/implementation');

// What encodes messages is not part of the API, so for the built-in module these are the tests of this project's.
const root = isBuiltin ? ROOT : specifier;
const serialization = require(path.join(root, 'lib/ipc/serialization.js'));
const encode = serialization.encoderOf('advanced');

const long = 'a'.repeat(2000);
const wide = '\u{2603}\ud800 "\n'.repeat(500);

/** A copy, as in a channel, which lets the encoder use its memory again. */
const encoded = (message) => Buffer.from(encode(message));

/** Whether V8's serializer wrote the bytes. */
const isOfV8 = (bytes) => bytes[0] === 0xff;

const MESSAGES = {
  'a buffer': Buffer.from('bytes'),
  'members of all types': {
    id: 1,
    none: null,
    buffer: Buffer.alloc(5, 7),
    bytes: new Uint8Array([1, 2]),
    inside: {
      list: [0, new Float64Array([1.5, -0, Number.NaN]), { deep: new BigInt64Array([-1n]) }],
    },
    after: new Uint16Array([3]),
  },
  'long texts': { long, list: [wide, long, 'short'], key: { wide } },
  'names that are not ASCII': { '\u{2603}': new Uint8Array([1]), wide },
  'a part of a larger buffer': { part: new Int32Array(new ArrayBuffer(64), 8, 3) },
  'more than the usual memory holds': { bytes: Buffer.alloc(100_000, 9), long },
};

for (const [name, message] of Object.entries(MESSAGES)) {
  test(`${name} goes without V8's serializer, and arrives the same`, (t) => {
    const before = structuredClone(message);
    const bytes = encoded(message);
    t.false(isOfV8(bytes));
    t.deepEqual(serialization.fromBytes(bytes), message);
    // The sender's own message has not changed.
    t.deepEqual(structuredClone(message), before);
  });
}

test('a view that only V8 can describe goes by its serializer', (t) => {
  class Own extends Uint8Array {}
  const twice = Buffer.from('x');
  for (const message of [
    new Own(1),
    new Uint8Array(),
    [twice, twice],
    new DataView(new ArrayBuffer(1)),
  ]) {
    t.true(isOfV8(encode(message)));
  }
});

function forged(head, tail = '') {
  const text = JSON.stringify(head);
  const bytes = Buffer.from(`\0\0\0\0\0${text}${tail}`);
  bytes.writeUInt32LE(text.length, 1);
  return bytes;
}

test('forged attachments are refused, and reach no prototype', (t) => {
  t.deepEqual(serialization.fromBytes(forged([{ a: null }, [['a'], 0, 2]], 'ok')), { a: 'ok' });
  const heads = [
    [{}, [['__proto__', 'polluted'], 0, 1]],
    [{}, [['constructor', 'prototype', 'polluted'], 0, 1]],
    [{}, [['absent'], 0, 1]],
    [{ a: 1 }, [['a'], 0, 1]],
    [{ a: null }, [['a'], 0, 1], [['a'], 0, 0]],
    [[], [['length'], 0, 1]],
    [{ a: null }, [['a'], 0, -1]],
    [{ a: null }, [['a'], 0, 1.5]],
    [{ a: null }, [['a'], 0, 2]],
    [{ a: null }, [['a'], 99, 1]],
    [{ a: null }, [['a'], 'constructor', 1]],
    [{ a: null }, [null, 0, 1]],
    [{ a: null }, null],
    null,
  ];
  for (const head of heads) {
    t.throws(() => serialization.fromBytes(forged(head, 'x')), undefined, JSON.stringify(head));
  }
  t.is(Object.prototype.polluted, undefined);
  t.throws(() => serialization.fromBytes(Buffer.from([0, 255, 255, 255, 255])));
  t.throws(() => serialization.fromBytes(Buffer.from([0])));
});

/** Several messages as they come in one turn, each after its length, and at a multiple of eight. */
function gathered(messages) {
  const bytes = [];
  for (const message of messages) {
    const one = encoded(message);
    while (bytes.length % 8 !== 4) bytes.push(0);
    bytes.push(...new Uint8Array(Uint32Array.of(one.length).buffer), ...one);
  }
  return Buffer.from(Uint8Array.from(bytes).buffer);
}

test('numbers are looked at where they are, wherever their message is', (t) => {
  const views = [Float64Array, BigInt64Array, Uint32Array, Int16Array, Uint8ClampedArray];
  for (let length = 0; length < 9; length += 1) {
    const messages = views.map((View) => ({
      name: 'x'.repeat(length),
      bytes: Buffer.alloc(1 + length, 1),
      numbers: View.of(View === BigInt64Array ? 7n : 7),
    }));
    const buffer = gathered(messages);
    const decoded = serialization.fromManyBytes(buffer);
    t.deepEqual(decoded, messages);
    t.true(decoded.every(({ numbers }) => numbers.buffer === buffer.buffer));
  }
});

test('numbers that are not where they can be looked at are copied', (t) => {
  const message = { numbers: new Float64Array([1, 2]) };
  const bytes = encoded(message);
  const shifted = Buffer.from(new ArrayBuffer(bytes.length + 1), 1);
  bytes.copy(shifted);
  const decoded = serialization.fromBytes(shifted);
  t.deepEqual(decoded, message);
  t.not(decoded.numbers.buffer, shifted.buffer);
  const part = forged([{ a: null }, [['a'], 11, 4]], 'x'.repeat(16));
  t.throws(() => serialization.fromBytes(part));
});

test('nothing of other messages is between attachments', (t) => {
  encode({ bytes: Buffer.alloc(4000, 0xaa) });
  const bytes = encode({
    name: '',
    numbers: new Float64Array(1),
    more: Buffer.alloc(1),
    last: new Float64Array(1),
  });
  t.false(bytes.includes(0xaa));
});
