'use strict';

// Replaces all workers of a cluster, one after the other, start before stop.

/** Forks a worker; resolves to it when it listens everywhere. */
function forkListening(cluster, servers) {
  const worker = cluster.fork();
  let listening = 0;
  return new Promise((resolve, reject) => {
    worker.once('exit', () => reject(new Error('a worker ended before it listened')));
    worker.on('listening', () => {
      listening += 1;
      if (listening === servers) resolve(worker);
    });
  });
}

/** Each way resolves when the worker has exited, to `{ cut }` if it is known how many connections it cut. */
const WAYS = {
  drain: (worker, timeout) => worker.drain({ timeout }),
  // This is what closes idle connections: a worker of node:cluster calls `server.close()`.
  disconnect: (worker, timeout) =>
    new Promise((resolve) => {
      const timer = setTimeout(() => worker.process.kill('SIGKILL'), timeout);
      worker.once('exit', () => {
        clearTimeout(timer);
        resolve({});
      });
      worker.send('leave');
      worker.disconnect();
    }),
};

/**
 * @param {object} options
 * @param {'drain' | 'disconnect'} options.way
 * @param {number} options.timeout for a worker to finish, in ms
 * @param {number} options.servers on how many addresses a worker listens
 * @param {'exit' | 'listening'} [options.until] whether to wait for the exits of the old workers
 */
async function replaceWorkers(cluster, { way, timeout, servers, until = 'exit' }) {
  const started = Date.now();
  const leaving = [];
  for (const worker of Object.values(cluster.workers)) {
    await forkListening(cluster, servers);
    leaving.push(WAYS[way](worker, timeout));
  }
  if (until === 'listening') return { replaced: leaving.length, ms: Date.now() - started };
  const left = await Promise.all(leaving);
  const cut = left.reduce((sum, result) => sum + (result.cut ?? 0), 0);
  return { replaced: leaving.length, cut, ms: Date.now() - started };
}

module.exports = { WAYS, forkListening, replaceWorkers };
