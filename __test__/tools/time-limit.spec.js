'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const test = require('ava');
const { TimeLimit, afterTimeLimit } = require('../../tools/time-limit');

const ROOT = path.join(__dirname, '../..');

test('a time limit on an idle machine expires, and calls back once', async (t) => {
  t.true(new TimeLimit(60_000, () => 1).left() > 0);
  const limit = new TimeLimit(20, () => 1);
  await new Promise((resolve) => afterTimeLimit(20, resolve));
  t.is(limit.left(), 0);
});

test('time counts less on a busier machine', async (t) => {
  const limit = new TimeLimit(20, () => 1000);
  await new Promise((resolve) => afterTimeLimit(20, resolve));
  t.true(limit.left() > 15);
});

test('a time limit that is met does not call back', async (t) => {
  const inTime = afterTimeLimit(200, () => t.fail());
  inTime();
  await new Promise((resolve) => afterTimeLimit(300, resolve));
  t.pass();
});

test('in an emulator all takes as much longer as the environment says', (t) => {
  const program = "require('./tools/time-limit.js').slowdown() >= 7";
  const env = { ...process.env, EMULATION_SLOWDOWN: '7' };
  const printed = execFileSync(process.execPath, ['-p', program], { cwd: ROOT, env });
  t.is(printed.toString().trim(), 'true');
});
