'use strict';

const os = require('node:os');
const path = require('node:path');
const { getText } = require('./client');
const { start } = require('./fixture');

const EXAMPLES = path.join(__dirname, '../../examples');
// The number of workers that the examples fork.
const WORKERS = os.availableParallelism();
const PORT = /(?:serves|listening on) port (\d+)/g;

const example = (name) => path.join(EXAMPLES, name);

/** Starts a program on its own port, and waits until all its workers listen. */
async function startServer(t, file, { workers = WORKERS, ...options } = {}) {
  const app = start(t, file, { ...options, env: { PORT: '0', ...options.env } });
  const [[, port]] = await app.matches(PORT, workers);
  app.target = { host: '127.0.0.1', port: Number(port) };
  return app;
}

/** Sends requests until each worker has answered; resolves to their ids, in order. */
async function answering(ask, workers = WORKERS) {
  const ids = new Set();
  while (ids.size < workers) ids.add(workerOf(await ask()));
  return [...ids].sort((a, b) => a - b);
}

function workerOf(text) {
  const [, id] = /from worker (\d+)/.exec(text) ?? [];
  if (id === undefined) throw new Error(`answered: ${text}`);
  return Number(id);
}

/** The ids of the first workers, which have not been replaced. */
const firstIds = (workers = WORKERS) => Array.from({ length: workers }, (_, index) => index + 1);

/** Sends requests to an HTTP server until each worker has answered, and ends it. */
async function checkServer(t, app) {
  t.deepEqual(await answering(() => getText(app.target)), firstIds());
  app.signal('SIGTERM');
  const { code } = await app.exited;
  t.is(code, 0);
}

module.exports = { WORKERS, answering, checkServer, example, firstIds, startServer, workerOf };
