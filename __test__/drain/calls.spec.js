'use strict';

const test = require('ava');
const { freePort } = require('../helpers/free-port');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

/** Runs one situation to its end; resolves to what it reports. */
async function call(t, name, options) {
  const { lines, code } = await run(t, 'drain/calls', {
    args: [{ port: await freePort() }, JSON.stringify(name)],
    ...options,
  });
  t.is(code, 0);
  return lines;
}

const POLICIES = ['rr', 'least-connections', 'source-hash', 'reuseport', 'none'];

// The built-in module can't drain workers.
if (!isBuiltin) {
  test('drain() rejects bad arguments, and does nothing then', async (t) => {
    const lines = await call(t, 'badArguments');
    const type = { argument: 'ERR_INVALID_ARG_TYPE', isTypeError: true };
    const value = { argument: 'ERR_INVALID_ARG_VALUE', isTypeError: true };
    t.deepEqual(lines, [
      ...[type, type, value, value, value, value, type, value, type],
      { isDraining: false, ended: { cut: 0 } },
    ]);
  });

  test('calls for one worker have one promise, and the shorter time applies', async (t) => {
    t.deepEqual(await call(t, 'twice'), [{ isSame: true, cut: { cut: 1 } }, { again: { cut: 0 } }]);
  });

  test('a worker that is starting exits without serving', async (t) => {
    t.deepEqual(await call(t, 'starting'), [{ starting: { cut: 0 }, isDead: true }]);
  });

  test('a worker that has exited has nothing to drain', async (t) => {
    t.deepEqual(await call(t, 'gone'), [{ gone: { cut: 0 }, isDraining: false }]);
  });

  test('a worker that could not be started has nothing to drain', async (t) => {
    t.deepEqual(await call(t, 'unstarted'), [{ unstarted: { cut: 0 } }]);
  });

  test('a paused worker drains, and what waits goes to others', async (t) => {
    const [drained, { answer, others }] = await call(t, 'paused');
    t.deepEqual(drained, { paused: { cut: 0 } });
    t.is(answer, others);
  });

  for (const policy of POLICIES) {
    test(`no connection reaches a worker after drain() was called (${policy})`, async (t) => {
      const lines = await call(t, 'rotation', { env: { NODE_CLUSTER_SCHED_POLICY: policy } });
      t.is(lines.length, 5);
      for (const { served, by, drained } of lines) {
        // Under SCHED_NONE the worker accepts until it has heard of the drain.
        if (policy !== 'none') t.deepEqual(served, [by]);
        t.deepEqual(drained, { cut: 0 });
      }
    });
  }

  test('the promise is resolved after the events of the exit, which is intended', async (t) => {
    const [line] = await call(t, 'events');
    t.deepEqual(line, {
      seen: ['disconnect', true, 'exit', true],
      isListed: true,
      isDraining: true,
    });
  });

  test('with settings.handOverIdle false, connections end with their next answer', async (t) => {
    const [{ answers }, { ends, drained }, moves] = await call(t, 'setting');
    t.deepEqual(answers, [true, true]);
    t.deepEqual(ends, ['FIN', 'FIN']);
    t.deepEqual(drained, { cut: 0 });
    t.deepEqual(moves, { moved: 0, parked: 0 });
  });

  test('stats() counts the connections that move, and those that wait for their clients', async (t) => {
    t.deepEqual(await call(t, 'stats'), [
      { moved: 10, parked: 10, states: ['open'] },
      { answers: true },
      { after: 0, others: 0 },
    ]);
  });

  test('connections that wait for their clients survive a moment without workers', async (t) => {
    const [{ answer, thirds }, { silent }] = await call(t, 'withoutWorkers');
    t.is(answer, thirds);
    t.is(silent, 'FIN');
  });
}
