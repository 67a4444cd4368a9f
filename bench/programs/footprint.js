'use strict';

// `footprint.js IMPLEMENTATION`: loads it, starts one worker with an HTTP server, and prints how long that
// took, in milliseconds, and the worker's memory, in megabytes, and threads, as a JSON line.

const { readFileSync } = require('node:fs');
const { performance } = require('node:perf_hooks');

const [, , implementation] = process.argv;
const loading = performance.now();
const cluster = require(implementation);
const load = performance.now() - loading;

function measure({ process: { pid } }) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)[1]);
  return {
    resident: number('VmRSS') / 1024,
    own: number('RssAnon') / 1024,
    threads: number('Threads'),
  };
}

if (cluster.isPrimary) {
  const forking = performance.now();
  const worker = cluster.fork();
  worker.once('listening', () => {
    const start = performance.now() - forking;
    console.log(JSON.stringify({ load, start, ...measure(worker) }));
    worker.process.kill();
  });
} else {
  require('node:http').createServer().listen(0);
}
