'use strict';

// `fork.js IMPLEMENTATION MEGABYTES FORKS`: forks one worker after the other from a primary that
// holds so much memory, and prints how long each fork() took, in milliseconds, as a JSON line.

const { once } = require('node:events');
const { performance } = require('node:perf_hooks');

const [, , implementation, megabytes, forks] = process.argv;
const cluster = require(implementation);
const MEGABYTE = 1024 ** 2;

async function main() {
  // The memory is touched, so that it is resident: a fork copies the page tables.
  const held = Array.from({ length: Number(megabytes) }, () => Buffer.alloc(MEGABYTE, 1));
  const times = [];
  for (let i = 0; i < Number(forks); i += 1) {
    const start = performance.now();
    const worker = cluster.fork();
    times.push(performance.now() - start);
    // The next fork starts on a quiet machine.
    await once(worker, 'exit');
  }
  console.log(JSON.stringify({ held: held.length, times }));
}

if (cluster.isPrimary) main();
else process.exit();
