'use strict';

// How the status page writes numbers, times, states and events. Needs no browser.

const { readFileSync } = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const test = require('ava');

const SOURCES = path.join(__dirname, '../../src/primary/operator/page');
const context = vm.createContext({ Intl });
for (const name of ['format', 'words', 'samples']) {
  vm.runInContext(readFileSync(path.join(SOURCES, `${name}.js`), 'utf8'), context);
}
const named = (name) => vm.runInContext(name, context);

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const FORMATS = {
  count: [
    [0, '0'],
    [1_234, '1,234'],
    [999_999, '999,999'],
    [1_234_567, '1.23M'],
    [null, '–'],
  ],
  rate: [
    [0, '0'],
    [0.24, '0.2'],
    [9.96, '10'],
    [1_234.5, '1,235'],
    [undefined, '–'],
  ],
  percent: [
    [0, '0%'],
    [0.04, '0%'],
    [4.26, '4.3%'],
    [9.96, '10%'],
    [1_308, '1,308%'],
    [null, '–'],
  ],
  bytes: [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '0.98 KB'],
    [84 * 2 ** 20, '84.0 MB'],
    [118.4 * 2 ** 20, '118 MB'],
    [1_023 * 2 ** 20, '1.00 GB'],
    [null, '–'],
  ],
  age: [
    [0, '0s'],
    [42_900, '42s'],
    [12 * MINUTE + 5 * SECOND, '12m 05s'],
    [4 * HOUR + 7 * MINUTE, '4h 07m'],
    [3 * DAY + 4 * HOUR, '3d 04h'],
    [null, '–'],
  ],
  time: [
    [340.4, '340 ms'],
    [2_140, '2.1 s'],
    [60_012, '60 s'],
    [5 * MINUTE, '5 min'],
  ],
  ago: [
    [400, 'now'],
    [42_000, '42 s'],
    [5 * MINUTE, '5 min'],
    [3 * HOUR, '3 h'],
    [2 * DAY, '2 d'],
    [-50, 'now'],
  ],
  latency: [
    [84.3, '84 µs'],
    [1_240, '1.24 ms'],
    [12_340, '12.3 ms'],
    [2_100_000, '2.10 s'],
    [null, '–'],
  ],
};

for (const [name, cases] of Object.entries(FORMATS)) {
  test(`${name}() writes for people`, (t) => {
    const format = named(name);
    for (const [value, text] of cases) t.is(format(value), text, `${value}`);
  });
}

const slot = (number, state = 'ready', more = {}) => ({
  slot: number,
  state,
  generation: 1,
  ...more,
});
const status = (slots, more) => ({ state: 'ready', ready: true, generation: 1, slots, ...more });

test('the state is told in a sentence', (t) => {
  const sentence = named('stateSentence');
  t.is(sentence(status([slot(0)])), '1 of 1 worker is ready.');
  t.is(sentence(status([slot(0), slot(1, 'starting')])), '1 of 2 workers is ready.');
  t.is(
    sentence(status([slot(0), slot(1), slot(2, 'ready', { stalled: true })])),
    '2 of 3 workers are ready. Slot 2 is stalled.',
  );
  const failed = Array.from({ length: 9 }, (_, index) => slot(index, 'failed'));
  t.is(
    sentence(status(failed)),
    '0 of 9 workers are ready. Slots 0, 1, 2, 3, 4, 5 and 3 more have failed.',
  );
  t.is(
    sentence(status([slot(0, 'ready', { generation: 2 }), slot(1)], { state: 'reloading' })),
    '2 of 2 workers are ready. 1 of 2 have the next generation.',
  );
  t.regex(
    sentence(status([slot(0)], { held: true })),
    /Held: no worker is replaced until release\.$/,
  );
});

test('a service with a worker in trouble is degraded, one that only starts a worker is not', (t) => {
  const word = (...args) => named('stateLook')(status(...args)).word;
  t.is(word([slot(0), slot(1, 'starting')]), 'Ready');
  t.is(word([slot(0), slot(1, 'waiting')]), 'Degraded');
  t.is(word([slot(0), slot(1, 'ready', { stalled: true })]), 'Degraded');
  t.is(word([slot(0)], { ready: false }), 'Not ready');
  t.is(word([slot(0, 'failed')], { state: 'failed' }), 'Failed');
});

const EVENTS = [
  [{ type: 'state', state: 'reloading' }, 'Reloading'],
  [{ type: 'ready' }, 'The first workers are ready'],
  [{ type: 'reload', generation: 3, ms: 2_140 }, 'Reloaded: generation 3, in 2.1 s'],
  [
    { type: 'replace', slot: 0, from: null, to: 4, reason: 'start' },
    'Slot 0: worker 4 is ready (first start)',
  ],
  [
    { type: 'replace', slot: 0, from: 2, to: 4, reason: 'crash' },
    'Slot 0: worker 4 replaces 2 (crashed)',
  ],
  [
    {
      type: 'backoff',
      slot: 1,
      delay: 150,
      failures: 2,
      failure: { what: 'exited', worker: 5, exitCode: 1, phase: 'start' },
    },
    'Slot 1: worker 5 exited with code 1 before it was ready; 2 failures, next start in 150 ms',
  ],
  [{ type: 'hung', worker: 4, ms: 60_000 }, 'Worker 4 hung for 60 s, and is replaced'],
  [
    {
      type: 'blocked',
      worker: 4,
      ms: 300,
      stack: 'at render (/srv/views/a.js:8:3)\nat b (c.js:1:1)',
    },
    'Worker 4: event loop blocked for 300 ms at /srv/views/a.js:8',
  ],
  [{ type: 'blocked', worker: 4, ms: 300 }, 'Worker 4: event loop blocked for 300 ms'],
  [{ type: 'draining', worker: 4, reason: 'memory' }, 'Worker 4 drains (memory limit)'],
  [{ type: 'cut', worker: 4, connections: 1 }, 'Worker 4: 1 connection cut'],
  [
    { type: 'exit', worker: 4, slot: 2, code: null, signal: 9 },
    'Worker 4 of slot 2 was ended by SIGKILL',
  ],
  [
    { type: 'exit', worker: 4, slot: 2, code: 0, signal: null },
    'Worker 4 of slot 2 exited with code 0',
  ],
  [
    { type: 'rejected', what: 'timeout', worker: 3, missing: ['0.0.0.0:80'] },
    'An operation failed: worker 3 was not ready in time: 0.0.0.0:80 missing',
  ],
  [
    { type: 'failed', reason: { what: 'exited', worker: 3, signal: 'SIGSEGV' } },
    'All slots have failed; the last: worker 3 was ended by SIGSEGV',
  ],
  [{ type: 'stopped' }, 'All workers have ended'],
  [{ type: 'of a later version' }, 'of a later version'],
];

test('events are told in words', (t) => {
  for (const [event, text] of EVENTS) t.is(named('eventLook')(event).text, text);
});

test('of the reports of one block only the last is shown', (t) => {
  const blocked = (time, worker, ms) => ({ type: 'blocked', time, worker, ms });
  const events = [
    blocked(0, 1, 200),
    blocked(1_000, 1, 1_100),
    blocked(1_500, 2, 200),
    blocked(2_000, 1, 1_900),
    blocked(9_000, 1, 2_000),
    { type: 'exit', time: 9_500, worker: 1 },
    blocked(10_000, 3, 900),
    blocked(11_000, 3, 300),
  ];
  const times = named('withoutRepeats')(events).map(({ time }) => time);
  t.deepEqual(times, [1_500, 2_000, 9_000, 9_500, 10_000, 11_000]);
});

function poll(now, cpu, handedOver, more = {}) {
  const total = { accepted: 0, handedOver };
  return {
    pid: 1,
    started: 0,
    now,
    draining: [],
    slots: [{ slot: 0, worker: 1, cpu, total, ...more }],
  };
}

const samplesOf = (...polls) => {
  const samples = vm.runInContext('new Samples()', context);
  for (const it of polls) samples.add(it);
  return samples;
};

test('rates are differences over the last few seconds', (t) => {
  const samples = samplesOf(poll(0, 0, 0), poll(1_000, 500, 200));
  t.is(samples.cpu(0, 1), 50);
  t.is(samples.connections(0), 200);
  for (let second = 2; second < 20; second += 1) samples.add(poll(second * 1_000, 500, 200));
  t.is(samples.cpu(0, 1), 0);
  t.is(samples.connections(0), 0);
});

test('there are no rates across another worker, another primary, or from one poll', (t) => {
  t.is(samplesOf(poll(0, 0, 0)).cpu(0, 1), null);
  const other = samplesOf(poll(0, 900, 10), poll(1_000, 100, 20, { worker: 2 }));
  t.is(other.cpu(0, 2), null);
  t.is(other.connections(0), 10);
  const primary = samplesOf(poll(0, 900, 10), { ...poll(1_000, 950, 20), pid: 2 });
  t.is(primary.connections(0), null);
});
