'use strict';

// The load generator of bench/load, as it opens connections at a rate. traffic.js has the other half.

const { existsSync } = require('node:fs');
const path = require('node:path');
const { runTool } = require('../../tools/run-tool.js');

const MANIFEST = path.join(__dirname, '..', 'load', 'Cargo.toml');
const TARGET = path.join(__dirname, '..', '..', 'target');
const PROGRAM = path.join(TARGET, 'load', 'rs-cluster-load');
const GRACE_MS = 10_000;

/** Builds the load generator, unless it is up to date; resolves to its path. */
async function buildLoad() {
  if (!existsSync(PROGRAM)) process.stderr.write('Building the load generator …\n');
  const args = ['build', '--profile', 'load', '--locked', '--manifest-path', MANIFEST];
  const missing = 'cargo is missing, which builds the load generator: https://rustup.rs';
  await runTool('cargo', args, { env: { ...process.env, CARGO_TARGET_DIR: TARGET }, missing });
  return PROGRAM;
}

/**
 * Opens connections to `port` for `seconds`, as `pace` says: `{ concurrency }` or `{ rate }`. At a rate,
 * connections that are open at the end have `patienceSeconds` more. They go to `furtherPorts` as well, in
 * turn. Latency is in µs.
 */
async function runLoad({ seconds, patienceSeconds = 0, lateMs = 100, ...others }) {
  const load = { ...others, seconds, patienceSeconds, lateMs };
  const limit = (seconds + patienceSeconds) * 1000 + GRACE_MS;
  const args = ['connections', JSON.stringify(load)];
  const report = JSON.parse(await runTool(PROGRAM, args, { limit }));
  const { served, failures, seconds: elapsed } = report;
  return { ...report, requests: served, rate: served / elapsed, errors: failures };
}

module.exports = { PROGRAM, buildLoad, runLoad };
