'use strict';

// System calls fail in ordinary processes, by an addon that is compiled for this purpose.

const { serial: test } = require('ava');
const { canCompile, installFaulty } = require('../helpers/faulty-addon');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const SHORTAGES = ['ENOBUFS', 'ENOMEM', 'ETOOMANYREFS', 'EMFILE', 'ENFILE'];
const MESSAGES = ['sendmsg on the IPC channel', 'recvmsg on the IPC channel'];
const CONTROL = ['sendmsg on the control socket', 'recvmsg on the control socket'];
const CALLS = {
  primary: [...MESSAGES, ...CONTROL, 'sendmsg on the hand-off queue', 'accept'],
  worker: [...MESSAGES, ...CONTROL, 'recvmsg on the hand-off queue'],
};
const ANSWERS = ['object', 'object', 'string', 'string', 'string with a handle'];

async function runFaulty(t, { args, policy = 'rr' }) {
  t.timeout(600_000);
  const env = { CLUSTER: installFaulty(t), NODE_CLUSTER_SCHED_POLICY: policy };
  return run(t, 'faults/failing-system-calls', {
    args: args.map((it) => JSON.stringify(it)),
    env,
    warns: true,
  });
}

if (!isBuiltin && canCompile) {
  for (const [where, calls] of Object.entries(CALLS)) {
    test(`nothing is lost when system calls of the ${where} lack resources`, async (t) => {
      const { lines } = await runFaulty(t, { args: [where, calls, SHORTAGES, 3, 'answers'] });
      t.is(lines.length, calls.length * SHORTAGES.length);
      for (const { call, code, answers, served } of lines) {
        t.deepEqual([answers.sort(), served], [ANSWERS, 200], `${call}: ${code}`);
      }
    });
  }

  test("nothing is lost when accept() on a worker's own socket lacks resources", async (t) => {
    const args = ['worker', ['accept'], SHORTAGES, 3, 'answers'];
    const { lines } = await runFaulty(t, { args, policy: 'reuseport' });
    t.is(lines.length, SHORTAGES.length);
    for (const { answers, served } of lines) t.deepEqual([answers.sort(), served], [ANSWERS, 200]);
  });

  test('a worker that loses its own socket gets another', async (t) => {
    const args = ['worker', ['accept'], ['EINVAL'], 3, 'answers'];
    const { lines } = await runFaulty(t, { args, policy: 'reuseport' });
    t.is(lines.length, 1);
    for (const { answers, served } of lines) t.deepEqual([answers.sort(), served], [ANSWERS, 200]);
  });

  test('a system call of the primary that fails otherwise ends its worker, and is reported once', async (t) => {
    const calls = CALLS.primary.filter((call) => call.includes('lane'));
    const { lines: all } = await runFaulty(t, { args: ['primary', calls, ['EPERM'], 1, 'end'] });
    const lines = all.filter(({ call }) => call);
    t.is(lines.length, calls.length);
    for (const { call, errors, served } of lines) {
      // The program goes on sending after the worker is gone, which causes other errors.
      const faults = errors.filter(({ name }) => name === 'ERR_RS_CLUSTER_PROTOCOL');
      t.is(faults.length, 1, call);
      t.true(faults[0].message.startsWith(`${call}: EPERM, `), faults[0].message);
      t.is(served, 200);
    }
  });

  test('a system call of a worker that fails otherwise ends that worker, and is reported once', async (t) => {
    const calls = CALLS.worker;
    const { lines } = await runFaulty(t, { args: ['worker', calls, ['EPERM'], 1, 'end'] });
    const reports = lines.filter(({ name }) => name === 'ERR_RS_CLUSTER_PROTOCOL');
    t.deepEqual(
      reports.map(({ name, message }) => [name, message.split(',')[0]]),
      calls.map((call) => ['ERR_RS_CLUSTER_PROTOCOL', `${call}: EPERM`]),
    );
    t.deepEqual(
      lines.filter(({ call }) => call).map(({ call, served }) => [call, served]),
      calls.map((call) => [call, 200]),
    );
  });
}
