'use strict';

const fs = require('node:fs');
const { block } = require('./trouble.js');

// Writes synchronously, because this process may be about to block.
function tell(message) {
  fs.writeSync(process.stdout.fd, `${JSON.stringify(message)}\n`);
}

/** Tells the benchmark, by one line of JSON, that all workers listen. */
function announce(port, workerProcesses, facts) {
  tell({ port, workers: workerProcesses.map(({ pid }) => pid), ...facts });
}

/**
 * Ends this process with all its workers on SIGTERM, and when stdin closes: it also closes if the benchmark
 * itself was killed. The only request on stdin is to block; `prepare` is called before that.
 */
function endWithBenchmark(workerProcesses, prepare = async () => {}) {
  const end = () => endAll(workerProcesses(), 0);
  const blockOnRequest = async (line) => {
    const { blockMs } = JSON.parse(line);
    await prepare(blockMs);
    tell({ blockMs });
    block(blockMs);
  };
  process.on('SIGTERM', end);
  process.stdin.on('end', end).on('error', end).on('data', blockOnRequest);
}

/** Ends the server, because a round with one worker fewer would give a wrong figure. */
function failOnExit(workerProcesses, pid, code, signal) {
  process.stderr.write(`worker ${pid} ended with ${signal ?? `exit code ${code}`}\n`);
  endAll(workerProcesses(), 1);
}

function endAll(workerProcesses, code) {
  for (const worker of workerProcesses) worker.kill('SIGKILL');
  process.exit(code);
}

module.exports = { announce, endWithBenchmark, failOnExit };
