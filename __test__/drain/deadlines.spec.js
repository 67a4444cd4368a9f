'use strict';

const { serial: test } = require('ava');
const { freePort } = require('../helpers/free-port');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

const TIMEOUT = 400;
// For workers that must react before the deadline.
const LONG_TIMEOUT = 2_000;

async function drain(t, name) {
  const args = [{ port: await freePort() }, JSON.stringify(name)];
  const { lines, code } = await run(t, 'drain/deadlines', { args });
  t.is(code, 0);
  return lines[0];
}

const ended = (isAnswered) => ({ state: 'FIN', isAnswered });

// The built-in module can't drain workers.
if (!isBuiltin) {
  test('at the deadline a worker gets SIGTERM, and requests that had begun are cut', async (t) => {
    const { cut, signal, ms, seen } = await drain(t, 'running');
    t.is(signal, 'SIGTERM');
    t.true(ms >= TIMEOUT);
    t.deepEqual([seen.running, seen.half], [ended(false), ended(false)]);
    t.deepEqual([seen.idle, seen.other], [ended(true), ended(true)]);
    t.is(cut, 2, 'of the idle ones nothing was expected');
  });

  test('a worker that ignores SIGTERM gets SIGKILL after killTimeout', async (t) => {
    const { cut, signal, ms } = await drain(t, 'ignoredSigterm');
    t.is(signal, 'SIGKILL');
    t.true(ms >= TIMEOUT + 300);
    t.is(cut, 2);
  });

  test('deadlines are kept, and cuts counted, while both event loops are blocked', async (t) => {
    const { cut, seen } = await drain(t, 'stuck');
    const lost = Object.values(seen).filter(({ isAnswered }) => !isAnswered);
    t.is(lost.length, 6, 'no client got an answer to what it has sent last');
    t.is(cut, 4, 'the request that spins, and three that have not been read');
  });

  test('a stopped worker is killed after the deadline and killTimeout', async (t) => {
    const { cut, signal, ms } = await drain(t, 'stopped');
    t.is(signal, 'SIGKILL');
    t.true(ms >= LONG_TIMEOUT + 300);
    t.is(cut, 2);
  });

  test('a worker that has nothing open and does not exit is ended, which cuts nothing', async (t) => {
    const { cut, signal, ms } = await drain(t, 'timer');
    t.deepEqual({ cut, signal }, { cut: 0, signal: 'SIGTERM' });
    t.true(ms >= 1000 && ms < 30_000);
  });

  test('what the death of a worker that drains cuts is counted as well', async (t) => {
    const { cut, signal } = await drain(t, 'killed');
    t.is(signal, 'SIGKILL');
    t.is(cut, 2);
  });

  test('what the program cuts by exiting is counted as well', async (t) => {
    const { cut, signal } = await drain(t, 'crashed');
    t.is(signal, null);
    t.is(cut, 2);
  });
}
