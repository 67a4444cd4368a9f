'use strict';

const test = require('ava');
const { TimeLimit, afterTimeLimit } = require('../../tools/time-limit');

test('a time limit on an idle machine expires, and calls back once', async (t) => {
  const limit = new TimeLimit(20, () => 1);
  t.true(limit.left() > 0);
  await new Promise((resolve) => afterTimeLimit(20, resolve));
  t.is(limit.left(), 0);
});

test('time counts less on a busier machine', async (t) => {
  const limit = new TimeLimit(20, () => 1000);
  await new Promise((resolve) => afterTimeLimit(20, resolve));
  t.true(limit.left() > 15);
});

test('a time limit that is met does not call back', async (t) => {
  const inTime = afterTimeLimit(1, () => t.fail());
  inTime();
  await new Promise((resolve) => afterTimeLimit(20, resolve));
  t.pass();
});
