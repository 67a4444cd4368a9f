'use strict';

// Workers without servers: jobs in, results out, by messages. A worker that dies is replaced, and
// another does its job, unless three have died of it.
//
//   seq 1000000 1000010 | node examples/jobs.js        counts the primes below each number

const os = require('node:os');
const readline = require('node:readline');
const cluster = require('rs-cluster');

const MAX_TRIES = 3;

function startPrimary() {
  const queue = [];
  const idle = new Set();
  const jobs = new Map(); // by worker
  let isComplete = false;

  function dispatch() {
    for (const worker of idle) {
      if (queue.length === 0) break;
      idle.delete(worker);
      const job = queue.shift();
      jobs.set(worker, job);
      worker.send(job.limit, () => {}); // if it has just died, its 'exit' is to come
    }
    if (isComplete && jobs.size === 0) cluster.disconnect();
  }

  function tryAgain(job) {
    job.tries += 1;
    if (job.tries < MAX_TRIES) queue.unshift(job);
    else console.error(`${MAX_TRIES} workers have died of job ${job.limit}`);
  }

  function hire() {
    const worker = cluster.fork();
    console.log(`Worker ${worker.id} (pid ${worker.process.pid}) is hired`);
    worker.on('message', (primes) => {
      console.log(`${primes} primes below ${jobs.get(worker).limit}, says worker ${worker.id}`);
      jobs.delete(worker);
      idle.add(worker);
      dispatch();
    });
    worker.on('exit', () => {
      idle.delete(worker);
      const job = jobs.get(worker);
      jobs.delete(worker);
      if (job) tryAgain(job);
      if (!worker.exitedAfterDisconnect) hire();
    });
    idle.add(worker);
    dispatch();
  }

  for (let i = 0; i < os.availableParallelism(); i++) hire();
  const input = readline.createInterface({ input: process.stdin });
  input.on('line', (line) => {
    queue.push({ limit: Number(line), tries: 0 });
    dispatch();
  });
  input.on('close', () => {
    isComplete = true;
    dispatch();
  });
}

function countPrimes(limit) {
  let count = 0;
  for (let n = 2; n < limit; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor += 1;
    if (divisor * divisor > n) count += 1;
  }
  return count;
}

if (cluster.isPrimary) startPrimary();
else process.on('message', (limit) => process.send(countPrimes(limit)));
