'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');

/** Runs one worker, which does `worker`; the primary calls one of its methods at an event. */
const live = (t, worker, primary) =>
  run(t, 'lifecycle/one-worker', { args: [{ worker, ...primary }] });

const names = (lines, on) => lines.filter((line) => line.on === on).map((line) => line.event);
const find = (lines, pattern) =>
  lines.find((line) => Object.entries(pattern).every(([key, value]) => line[key] === value));

test('a worker itself sees events for its messages and its end, and no others', async (t) => {
  const { lines, code } = await run(t, 'lifecycle/worker-events');
  t.is(code, 0);
  t.deepEqual(
    lines.map(({ on, event, args }) => [on, event, args]),
    [
      ['worker', 'message', ['message', 'undefined']],
      ['process', 'message', ['message', 'undefined']],
      ['worker', 'disconnect', []],
      ['process', 'disconnect', []],
      ['process', 'exit', [0]],
    ],
  );
});

test('ids grow and are never used again', async (t) => {
  const { lines } = await run(t, 'lifecycle/ids');
  t.deepEqual(lines[0].ids, [1, 2, 3, 4, 5]);
});

test('events come in order, on the worker and then on the cluster', async (t) => {
  const { lines, code } = await live(t, ['listen', 0], { on: 'listening', call: ['disconnect'] });
  t.is(code, 0);
  const events = ['online', 'listening', 'disconnect', 'exit'];
  t.deepEqual(names(lines, 'worker'), events);
  t.deepEqual(names(lines, 'cluster'), ['setup', 'setup', 'fork', ...events]);
  for (const event of events) {
    const both = lines.filter((line) => line.event === event);
    t.deepEqual(
      both.map((line) => line.on),
      ['worker', 'cluster'],
    );
    t.deepEqual(both[0].args, both[1].args);
  }
});

test('the state of a worker shows its progress', async (t) => {
  const { lines } = await live(t, ['listen', 0], { on: 'listening', call: ['disconnect'] });
  const state = (event) => find(lines, { on: 'worker', event })?.state;
  t.is(find(lines, { on: 'cluster', event: 'fork' }).state, 'none');
  t.is(state('online'), 'online');
  t.is(state('listening'), 'listening');
  t.is(state('disconnect'), 'disconnected');
  t.is(state('exit'), 'dead');
});

test('a worker is connected until it disconnects, and dead when it has exited', async (t) => {
  const { lines } = await live(t, ['listen', 0], { on: 'listening', call: ['disconnect'] });
  const at = (event) => find(lines, { on: 'worker', event });
  t.like(at('online'), { connected: true, dead: false });
  t.like(at('disconnect'), { connected: false, dead: false });
  t.like(at('exit'), { connected: false, dead: true });
});

test('a worker stays in cluster.workers until it has disconnected and exited', async (t) => {
  const { lines } = await live(t, ['call', 'disconnect']);
  for (const event of ['fork', 'online', 'disconnect']) {
    t.deepEqual(find(lines, { on: 'cluster', event }).workers, ['1'], event);
  }
  t.deepEqual(find(lines, { on: 'worker', event: 'exit' }).workers, []);
});

test('a crashed worker leaves cluster.workers before its last event', async (t) => {
  const { lines } = await live(t, ['signal', 'SIGKILL']);
  const last = lines.filter(({ event }) => event === 'disconnect' || event === 'exit').at(-1);
  t.deepEqual(last.workers, []);
});

const addresses = [
  ['an IPv4 address', { port: 0, host: '127.0.0.1' }, { addressType: 4, address: '127.0.0.1' }],
  ['an IPv6 address', { port: 0, host: '::1' }, { addressType: 6, address: '::1' }],
  ['no address', { port: 0 }, { addressType: 4, address: null }],
];
for (const [name, options, expected] of addresses) {
  test(`the listening event of a server on ${name} has its address`, async (t) => {
    const { lines } = await live(t, ['listen', options], { on: 'listening', call: ['disconnect'] });
    const { args } = find(lines, { on: 'cluster', event: 'listening' });
    t.is(args.length, 1);
    const { port, ...rest } = args[0];
    t.deepEqual(rest, { ...expected, fd: 'undefined' });
    t.true(port > 0);
  });
}

test('the listening event of a server on a Unix socket has its path', async (t) => {
  const socket = path.join(temporaryDirectory(t), 'socket');
  const { lines } = await live(t, ['listen', { path: socket }], {
    on: 'listening',
    call: ['disconnect'],
  });
  const { args } = find(lines, { on: 'cluster', event: 'listening' });
  t.deepEqual(args, [{ address: socket, port: -1, addressType: -1, fd: 'undefined' }]);
});

const endings = [
  ['process.exit(7)', ['exit', 7], [7, null]],
  ['process.exit()', ['exit'], [0, null]],
  ['SIGKILL', ['signal', 'SIGKILL'], [null, 'SIGKILL']],
  ['SIGTERM', ['signal', 'SIGTERM'], [null, 'SIGTERM']],
  ['an error at its start', ['throw'], [1, null]],
];
for (const [name, worker, args] of endings) {
  test(`the exit event shows that a worker ended by ${name}`, async (t) => {
    const { lines, code, stderr } = await live(t, worker);
    t.is(code, 0);
    for (const on of ['worker', 'cluster']) {
      const exit = find(lines, { on, event: 'exit' });
      t.deepEqual(exit.args, args);
      t.like(exit, { state: 'dead', dead: true, exitedAfterDisconnect: false });
      t.truthy(find(lines, { on, event: 'disconnect' }));
    }
    t.is(stderr.includes('Error: thrown at start'), worker[0] === 'throw');
  });
}
