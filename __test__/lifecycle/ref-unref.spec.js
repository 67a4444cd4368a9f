'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

const ENDS = 'end of the primary';

/** Resolves to the events of a primary until it ends by itself. */
async function eventsAfter(t, calls) {
  const { lines, code } = await run(t, 'lifecycle/ref-unref-primary', { args: [calls] });
  t.is(code, 0);
  return lines.map(({ event }) => event);
}

for (const [what, calls] of Object.entries({
  'a worker': [],
  'the process of a worker, without its channel,': ['process.channel.unref'],
  'a worker that is referenced again': [
    'process.unref',
    'process.channel.unref',
    'process.channel.ref',
    'process.ref',
  ],
})) {
  test(`${what} keeps its primary running until it exits`, async (t) => {
    const events = await eventsAfter(t, calls);
    t.true(events.includes('exit'));
    t.is(events.at(-1), ENDS);
  });
}

test('the channel of a worker, without its process, keeps its primary running until it closes', async (t) => {
  const events = await eventsAfter(t, ['process.unref']);
  t.true(events.includes('disconnect'));
  t.is(events.at(-1), ENDS);
});

test('a primary that references neither process nor channel ends, and its worker too', async (t) => {
  t.deepEqual(await eventsAfter(t, ['process.unref', 'process.channel.unref']), [ENDS]);
});

for (const calls of [[], ['channel.unref', 'channel.ref']]) {
  const after = calls.length > 0 ? ', after unref() and ref(),' : '';
  test(`the channel${after} keeps an idle worker running, unless it is unreferenced`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/ref-unref-workers', { args: [calls] });
    t.is(code, 0);
    t.deepEqual(lines, [
      { exit: 2, code: 0, exitedAfterDisconnect: false },
      { exit: 1, code: 0, exitedAfterDisconnect: true },
    ]);
  });
}
