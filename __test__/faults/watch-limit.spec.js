'use strict';

// The system may refuse to watch a channel, as epoll_ctl(2) does at the limit of watches.

const EventEmitter = require('node:events');
const { once } = require('node:events');
const { constants } = require('node:os');
const { serial: test } = require('ava');
const Channel = require('../../lib/ipc/channel');
const EventContext = require('../../lib/event-context');
const { isBuiltin } = require('../helpers/implementation');

/** A channel's native end that can't be watched. */
class UnwatchableEnd {
  fd = 3;
  calls = [];

  start() {
    return -constants.errno.ENOSPC;
  }

  ref() {}

  unref() {}

  close() {
    this.calls.push('close');
    return null;
  }
}

if (!isBuiltin) {
  test('a channel that cannot be watched is a fault with errno and system call, and is closed', async (t) => {
    const target = new EventEmitter();
    const end = new UnwatchableEnd();
    const faults = [];
    const disconnected = once(target, 'disconnect');
    new Channel(target, end, {
      context: new EventContext(),
      mode: 'json',
      isTrusted: false,
      refs: 1,
      onInternalMessage: () => t.fail(),
      onFault: (error) => faults.push(error),
      beforeDisconnect: (callback) => callback(),
      onClosed: () => {},
    });
    t.false(target.connected);
    await disconnected;
    t.like(faults, [{ code: 'ENOSPC', syscall: 'epoll_ctl', errno: -constants.errno.ENOSPC }]);
    t.deepEqual(end.calls, ['close']);
    t.is(faults.length, 1);
  });
} else {
  test('the built-in module has no such channel', (t) => t.pass());
}
