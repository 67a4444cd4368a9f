'use strict';

// A pid must belong to the worker until JavaScript has learned of its exit.

const { serial: test } = require('ava');
const { canDeny, denying } = require('../helpers/deny');
const { run } = require('../helpers/fixture');
const { HAS_PROC } = require('../../tools/process-group');

/** Checks that all sources agree, at every moment, on whether a process exists or has ended. */
async function agreesAtEveryMoment(t, options) {
  const { lines, code } = await run(t, 'lifecycle/pid', options);
  t.is(code, 0);
  const ended = new Map(lines.map(({ at, dead }) => [at, dead]));
  t.is(ended.get('busy'), false);
  t.is(ended.get('next tick'), false);
  t.is(ended.get('process exit'), true);
  t.is(ended.get('exit'), true);
  t.is(ended.get('later'), true);
  for (const { at, dead, ...rest } of lines) {
    const expected = dead
      ? { exitCode: null, signalCode: 'SIGKILL', kill: false, exists: 'ESRCH' }
      : { exitCode: null, signalCode: null, kill: true, exists: true };
    t.deepEqual(rest, expected, at);
  }
}

if (HAS_PROC) {
  test('a pid belongs to the worker until JavaScript learns of its exit', agreesAtEveryMoment);
}

if (canDeny) {
  const CLONE_PIDFD = 'clone+1000';
  const denials = [
    ['the kernel gives no pidfd with a process', ['EINVAL', CLONE_PIDFD]],
    ['a filter denies pidfds', ['EPERM', CLONE_PIDFD, 'pidfd_open']],
    ['the kernel has no pidfds', ['ENOSYS', CLONE_PIDFD, 'pidfd_open', 'pidfd_send_signal']],
    ['a filter denies signals by pidfd', ['EPERM', 'pidfd_send_signal']],
  ];
  for (const [name, denial] of denials) {
    test(`a pid belongs to the worker until its exit where ${name}`, async (t) => {
      await agreesAtEveryMoment(t, { launcher: denying(...denial) });
    });
  }
}
