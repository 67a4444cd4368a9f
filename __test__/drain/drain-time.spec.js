'use strict';

const test = require('ava');
const DrainTime = require('../../lib/worker/drain-time.js');

const TIME = 60_000;

test('an order with the same deadline does not make the time of a drain shorter', (t) => {
  const time = new DrainTime(TIME);
  t.false(time.isLongerThan(TIME));
  t.false(time.isLongerThan(TIME - 1));
});

test('an order with an earlier deadline makes the time of a drain shorter', (t) => {
  const time = new DrainTime(TIME);
  t.true(time.isLongerThan(TIME / 2));
});
