'use strict';

const fs = require('node:fs');
const { block } = require('./trouble.js');

// At once: this process may be about to block.
function tell(message) {
  fs.writeSync(process.stdout.fd, `${JSON.stringify(message)}\n`);
}

/** Tells the benchmark, as one line of JSON, that all workers listen. */
function announce(port, workerProcesses) {
  tell({ port, workers: workerProcesses.map(({ pid }) => pid) });
}

// The only thing that a benchmark ever asks of a primary.
function blockOnRequest(line) {
  const { blockMs } = JSON.parse(line);
  tell({ blockMs });
  block(blockMs);
}

/**
 * Ends this process with all its workers on SIGTERM, and when stdin closes: that also happens
 * when the benchmark itself was killed.
 */
function endWithBenchmark(workerProcesses) {
  const end = () => endAll(workerProcesses(), 0);
  process.on('SIGTERM', end);
  process.stdin.on('end', end).on('error', end).on('data', blockOnRequest);
}

/** A round with a worker less would be a wrong figure, so it is none. */
function failOnExit(workerProcesses, pid, code, signal) {
  process.stderr.write(`worker ${pid} ended with ${signal ?? `exit code ${code}`}\n`);
  endAll(workerProcesses(), 1);
}

function endAll(workerProcesses, code) {
  for (const worker of workerProcesses) worker.kill('SIGKILL');
  process.exit(code);
}

module.exports = { announce, endWithBenchmark, failOnExit };
