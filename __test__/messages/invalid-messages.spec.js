'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { majorVersion } = require('../helpers/version');

const missing = 'throws TypeError ERR_MISSING_ARGS';
const wrong = 'throws TypeError ERR_INVALID_ARG_TYPE';
const noHandle = 'throws TypeError ERR_INVALID_HANDLE_TYPE';
const good = 'returns true';

const options = {
  'options that are null': wrong,
  'options that are a string': wrong,
  'options that are a number': wrong,
  'options that are an array': wrong,
  'no message with bad options': wrong,
};
const always = {
  'no argument': missing,
  undefined: missing,
  'undefined, with a callback': missing,
  'a function': wrong,
  'a symbol': wrong,
  'a bigint': wrong,
  'a getter that throws': 'throws RangeError',
  ...options,
  'unknown options': good,
  'a handle that is null': good,
  'a handle that is false': good,
  'a handle that is a string': noHandle,
  'a handle that is true': noHandle,
  'a handle that is an object': noHandle,
  'a callback that is not a function': good,
  'a bad message with a bad handle': wrong,
};
/** Whether V8's serializer accepts a view of a detached buffer. */
const CLONES_VIEWS = majorVersion >= 24;
// V8's serializer throws errors of different classes in different versions, so the class is not compared.
const notCloned = 'throws';
const open = {
  json: {
    ...always,
    'a bigint inside': 'throws TypeError',
    'a function inside': good,
    'a symbol inside': good,
    'a circular object': 'throws TypeError',
    'a toJSON that throws': 'throws RangeError',
    'a proxy that throws': 'throws RangeError',
    'a detached buffer': good,
    'a view of a detached buffer': good,
    'a weak map': good,
  },
  advanced: {
    ...always,
    'a bigint inside': good,
    'a function inside': notCloned,
    'a symbol inside': notCloned,
    'a circular object': good,
    'a toJSON that throws': notCloned,
    'a proxy that throws': notCloned,
    'a detached buffer': notCloned,
    'a view of a detached buffer': CLONES_VIEWS ? good : notCloned,
    'a weak map': notCloned,
  },
};
const goods = ['good', 'good', 'good', 'good', 'that was all'];
const received = {
  json: [[], [], ['detached'], ['view'], ['map'], ...goods],
  advanced: [['big'], ['itself'], ...(CLONES_VIEWS ? [['view']] : []), ...goods],
};

/** A closed channel checks only the options. */
const closed = (outcomes) =>
  Object.fromEntries(Object.keys(outcomes).map((name) => [name, options[name] ?? 'returns false']));

for (const serialization of Object.keys(open)) {
  test(`bad messages throw Node's errors, and do not affect others, by serialization '${serialization}'`, async (t) => {
    const { lines, code } = await run(t, 'messages/invalid-messages', { args: [serialization] });
    t.is(code, 0);
    const at = (wanted, moment) => {
      const found = lines.find((line) => line.role === wanted && line.moment === moment);
      const outcomes = Object.entries(found.outcomes).map(([name, outcome]) => {
        const isCloned = open[serialization][name] !== notCloned;
        return [name, isCloned ? outcome : outcome.replace(/^(throws) .*/, '$1')];
      });
      return Object.fromEntries(outcomes);
    };
    for (const role of ['primary', 'worker']) {
      t.deepEqual(at(role, 'open'), open[serialization]);
      t.like(
        lines.find((line) => line.role === role && line.received),
        { received: received[serialization] },
      );
    }
    t.deepEqual(at('worker', 'closing'), closed(open[serialization]));
    t.deepEqual(at('primary', 'closed'), closed(open[serialization]));
    const { errors } = lines.find(({ errors }) => errors);
    // One of the calls has a callback, which gets the error.
    const returned = Object.keys(open[serialization]).length - Object.keys(options).length;
    t.deepEqual(errors, Array(returned - 1).fill('ERR_IPC_CHANNEL_CLOSED'));
  });
}

test('a message that cannot be sent throws in the sender, and the channel stays open', async (t) => {
  const { lines, code } = await run(t, 'messages/unsendable-messages');
  t.is(code, 0);
  const wrong = { code: 'ERR_INVALID_ARG_TYPE', type: 'TypeError' };
  for (const role of ['primary', 'worker']) {
    const ofRole = lines.filter((line) => line.role === role);
    t.deepEqual(
      ofRole.map(({ role: _, ...rest }) => rest),
      [
        { name: 'nothing', code: 'ERR_MISSING_ARGS', type: 'TypeError' },
        { name: 'undefined', code: 'ERR_MISSING_ARGS', type: 'TypeError' },
        { name: 'a symbol', ...wrong },
        { name: 'a function', ...wrong },
        { name: 'a bigint', ...wrong },
        { name: 'a handle that is not one', code: 'ERR_INVALID_HANDLE_TYPE', type: 'TypeError' },
        { name: 'options that are not an object', ...wrong },
        { name: 'a circular object', code: 'undefined', type: 'TypeError' },
        { message: 'a good one' },
      ],
    );
  }
});
