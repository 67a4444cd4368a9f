'use strict';

const { serial: test } = require('ava');
const Reloads = require('../../lib/supervisor/reloads.js');

/** Reloads that end when the test says so: `began` has `{ options, done, fail }` of each. */
function reloads() {
  const began = [];
  const all = new Reloads(
    (options) =>
      new Promise((resolve, reject) => {
        began.push({ options, done: resolve, fail: reject });
      }),
  );
  return { all, began };
}

test('reloads asked for during a reload become one, with the options of the last', async (t) => {
  const { all, began } = reloads();
  const first = all.add('first');
  const others = ['second', 'third', 'fourth'].map((options) => all.add(options));
  t.deepEqual(
    began.map(({ options }) => options),
    ['first'],
  );
  began[0].done('one');
  t.is(await first, 'one');
  t.deepEqual(
    began.map(({ options }) => options),
    ['first', 'fourth'],
  );
  began[1].done('two');
  t.deepEqual(await Promise.all(others), ['two', 'two', 'two']);
  const later = all.add('later');
  began[2].done('three');
  t.is(await later, 'three');
});

test('a reload that fails lets the next one begin', async (t) => {
  const { all, began } = reloads();
  const [first, second] = [all.add('first'), all.add('second')];
  began[0].fail(new Error('no'));
  await t.throwsAsync(first, { message: 'no' });
  began[1].fail(new Error('nor this'));
  await t.throwsAsync(second, { message: 'nor this' });
});

test('an AbortSignal ends the wait of its own call only', async (t) => {
  const { all, began } = reloads();
  const controllers = [new AbortController(), new AbortController()];
  const first = all.add('first', controllers[0].signal);
  const second = all.add('second', controllers[1].signal);
  const third = all.add('third');
  for (const controller of controllers) controller.abort(new Error('enough'));
  for (const aborted of [first, second]) {
    const error = await t.throwsAsync(aborted, { name: 'AbortError', code: 'ABORT_ERR' });
    t.is(error.cause.message, 'enough');
  }
  began[0].done('one');
  await new Promise(setImmediate);
  began[1].done('two');
  t.is(await third, 'two');
});

test('a call with a signal that is aborted already does nothing', async (t) => {
  const { all, began } = reloads();
  await t.throwsAsync(all.add('first', AbortSignal.abort()), { code: 'ABORT_ERR' });
  t.is(began.length, 0);
});

test('a reload that waits can be canceled', async (t) => {
  const { all, began } = reloads();
  const [first, second] = [all.add('first'), all.add('second')];
  all.cancel(new Error('stopping'));
  await t.throwsAsync(second, { message: 'stopping' });
  began[0].done('one');
  t.is(await first, 'one');
  t.is(began.length, 1);
});
