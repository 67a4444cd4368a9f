'use strict';

const os = require('node:os');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const ENDED = { pid: 'undefined', exitCode: -os.constants.errno.ENOENT, workers: [] };
const calls = [
  ['send', ['message'], true, ['ENOENT', 'EPIPE', 'disconnect']],
  ['send', ['message', 'callback'], true, ['ENOENT', 'callback: EPIPE', 'disconnect']],
  ['process.disconnect', [], 'undefined', ['ENOENT', 'disconnect']],
  ['channel.unref', [], 'undefined', ['ENOENT', 'disconnect']],
];
if (!isBuiltin) {
  calls.push(
    // The built-in module emits a second 'error', because its own message can't be sent.
    ['disconnect', [], 'itself', ['ENOENT', 'disconnect']],
    ['cluster.disconnect', ['callback'], 'undefined', null],
    // The built-in module sends the signal to its own process group, because the pid is 0.
    ['kill', [], 'undefined', ['ENOENT', 'disconnect']],
    ['kill', ['SIGKILL'], 'undefined', ['ENOENT', 'disconnect']],
    ['process.kill', [], false, ['ENOENT', 'disconnect']],
  );
}
for (const [call, args, returned, events] of calls) {
  test(`${call}(${args}) on a worker that could not be started does not throw`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/unstarted-worker', { args: [[call, ...args]] });
    t.is(code, 0);
    t.is(lines[0].returned, returned);
    t.is(lines[0].connected, call !== 'process.disconnect');
    t.like(lines[1], { ...ENDED, state: 'disconnected' });
    if (events === null) {
      t.deepEqual(lines[1].events.sort(), ['ENOENT', 'callback: undefined', 'disconnect']);
    } else {
      t.deepEqual(lines[1].events, events);
    }
  });
}
