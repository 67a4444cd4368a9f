'use strict';

// What the primary knows of its workers' processes, and how it starts and watches them where the
// kernel, or a filter of system calls, does not let it do so as usual.

const { serial: test } = require('ava');
const { canDeny, denying } = require('./helpers/deny');
const { run } = require('./helpers/fixture');
const { HAS_PROC } = require('../tools/process-group');

/** Whether all that tells of a process says the same at every moment: it is there, or it has ended. */
async function agreesAtEveryMoment(t, options) {
  const { lines, code } = await run(t, 'pid', options);
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
  test('a pid is the worker’s until JavaScript hears of its exit', agreesAtEveryMoment);
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
    test(`a pid is the worker’s until its exit where ${name}`, async (t) => {
      await agreesAtEveryMoment(t, { launcher: denying(...denial) });
    });
  }
}
