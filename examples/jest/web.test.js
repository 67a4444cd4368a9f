'use strict';

const { once } = require('node:events');
const http = require('node:http');
const cluster = require('rs-cluster');
const { start, stop } = require('./web');

let port;
beforeAll(async () => {
  port = await start(2);
});
afterAll(stop);

/** The pid of the worker that answers. */
async function get() {
  const [response] = await once(http.get({ port, agent: false }), 'response');
  const [pid] = await response.setEncoding('utf8').toArray();
  return Number(pid);
}

const pids = () => Object.values(cluster.workers).map((worker) => worker.process.pid);

test('every worker answers', async () => {
  const answering = new Set();
  while (answering.size < 2) answering.add(await get());
  expect([...answering].sort()).toEqual(pids().sort());
});

test('a worker that crashes is replaced', async () => {
  const [first] = pids();
  process.kill(first, 'SIGKILL');
  const [replacement] = await once(cluster, 'listening');
  expect(pids()).toContain(replacement.process.pid);
  expect(pids()).not.toContain(first);
  let answering;
  do answering = await get();
  while (answering !== replacement.process.pid);
});
