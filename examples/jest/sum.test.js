'use strict';

const { once } = require('node:events');
const path = require('node:path');
const cluster = require('rs-cluster');

const exec = path.join(__dirname, 'sum.worker.js');

beforeEach(() => cluster.setupPrimary({ exec }));
afterEach(() => {
  jest.useRealTimers();
  expect(cluster.workers).toEqual({});
});

test('a worker adds up', async () => {
  const worker = cluster.fork();
  worker.send([1, 2, 3]);
  const [answer] = await once(worker, 'message');
  expect(answer).toStrictEqual({ sum: 6 });
  worker.disconnect();
  expect(await once(worker, 'exit')).toEqual([0, null]);
});

test('several workers add up at once', async () => {
  const workers = [1, 2, 3].map(() => cluster.fork());
  for (const worker of workers) worker.send([worker.id, 1]);
  const answers = await Promise.all(workers.map((worker) => once(worker, 'message')));
  expect(answers.map(([{ sum }]) => sum)).toEqual(workers.map(({ id }) => id + 1));
  const exits = workers.map((worker) => once(worker, 'exit'));
  for (const worker of workers) worker.kill();
  await Promise.all(exits);
});

test('a worker that is sent nonsense exits', async () => {
  const worker = cluster.fork();
  worker.send('nonsense');
  expect(await once(worker, 'exit')).toEqual([3, null]);
  expect(worker.exitedAfterDisconnect).toBe(false);
});

test('the cluster outlives a reset of the modules', async () => {
  const worker = cluster.fork();
  jest.resetModules();
  expect(require('rs-cluster')).toBe(cluster);
  jest.isolateModules(() => {
    expect(require('rs-cluster').workers[worker.id]).toBe(worker);
  });
  worker.kill();
  await once(cluster, 'exit');
});

test('a worker does not wait for a clock that stands still', async () => {
  jest.useFakeTimers();
  const worker = cluster.fork();
  worker.send([20, 22]);
  const [{ sum }] = await once(worker, 'message');
  expect(sum).toBe(42);
  worker.kill();
  await once(worker, 'exit');
});
