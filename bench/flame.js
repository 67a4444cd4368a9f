'use strict';

// npm run bench:flame: draws where the engine's thread and a worker spend their time at saturation, as flame graphs in
// bench/charts.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { threadOf } = require('./lib/cpu.js');
const { MARK, describeDisturbance, watchOthers } = require('./lib/disturbance.js');
const { drawFlameGraph, parseStacks } = require('./lib/flame-graph.js');
const { buildLoad, runLoad } = require('./lib/load.js');
const { startServer } = require('./lib/server.js');
const { runCommand } = require('../tools/command.js');
const { runTool } = require('../tools/run-tool.js');
const { UserError } = require('../tools/user-error.js');
const { targetOf } = require('../lib/addon/binary.js');

const ROOT = path.join(__dirname, '..');
const TARGET = path.join(ROOT, 'target');
const CHARTS = path.join(__dirname, 'charts');
const ENGINE = 'rs-cluster';
const WORKERS = 2;
const SECONDS = 5;
const SLACK_SECONDS = 5;
const CONCURRENCY = 64;
const RATE = 1_999;
/** V8 writes the names of compiled functions to /tmp/perf-<pid>.map, and compiled code keeps its frames. */
const NODE_OPTIONS = '--perf-basic-prof --interpreted-frames-native-stack';

function requirePerf() {
  if (spawnSync('perf', ['--version']).error?.code !== 'ENOENT') return;
  throw new UserError(
    'perf is missing: apt-get install linux-perf, or linux-tools-generic on Ubuntu',
  );
}

/** Builds the addon with symbols; resolves to a copy of the package with it. */
async function buildPackage(directory) {
  process.stderr.write('Building the addon with symbols …\n');
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: TARGET,
    RUSTFLAGS: '-C force-frame-pointers=yes',
  };
  const missing = 'cargo is missing, which builds the addon: https://rustup.rs';
  await runTool('cargo', ['build', '--profile', 'flame', '--locked'], { cwd: ROOT, env, missing });
  for (const name of ['package.json', 'index.js', 'preload.js', 'lib']) {
    fs.cpSync(path.join(ROOT, name), path.join(directory, name), { recursive: true });
  }
  const addon = path.join(directory, 'lib', `rs-cluster.${targetOf(process)}.node`);
  fs.copyFileSync(path.join(TARGET, 'flame', 'librs_cluster.so'), addon);
  return directory;
}

/** Samples a thread, or all of a process; resolves to the stacks. */
async function sample(which, directory) {
  const file = path.join(directory, `perf${which.join('')}`);
  const how = ['-e', 'cpu-clock', '-F', String(RATE), '-g', '-o', file];
  await runTool('perf', ['record', '-q', ...how, ...which, '--', 'sleep', String(SECONDS)]);
  const fields = ['-F', 'ip,sym,dso', '--no-inline', '-i', file];
  return parseStacks(await runTool('perf', ['script', ...fields]));
}

async function sampleBoth(server, directory) {
  const measured = await watchOthers(() => sampleEach(server, directory));
  process.stderr.write(
    describeDisturbance('flame graphs', [measured])
      .map((it) => `${it}\n`)
      .join(''),
  );
  return measured;
}

async function sampleEach(server, directory) {
  const load = runLoad({
    port: server.port,
    protocol: 'http',
    pace: { concurrency: CONCURRENCY },
    seconds: 2 * SECONDS + SLACK_SECONDS,
  });
  const engine = await sample(['-t', threadOf(server.primary, ENGINE)], directory);
  const worker = await sample(['-t', String(server.workers[0])], directory);
  await load;
  return { engine, worker };
}

async function main() {
  requirePerf();
  await buildLoad();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-flame-'));
  const implementation = await buildPackage(path.join(directory, 'rs-cluster'));
  // V8 also writes a log into the current directory.
  process.chdir(directory);
  process.env.NODE_OPTIONS = NODE_OPTIONS;
  const opponent = { name: 'rs-cluster', program: 'rs-cluster.js', node: process.execPath };
  const settings = { workers: WORKERS, protocol: 'http' };
  const server = await startServer({ ...opponent, implementation }, settings);
  delete process.env.NODE_OPTIONS;
  try {
    const { engine, worker, disturbed } = await sampleBoth(server, directory);
    const write = (name, stacks, whose) => {
      const title = `${whose}, HTTP, 64 connections at once${disturbed ? MARK : ''}`;
      fs.writeFileSync(path.join(CHARTS, name), drawFlameGraph(stacks, title));
    };
    write('flame-engine.svg', engine, "The engine's thread");
    write('flame-worker.svg', worker, "A worker's main thread");
  } finally {
    await server.stop();
    for (const pid of [server.primary, ...server.workers]) {
      fs.rmSync(`/tmp/perf-${pid}.map`, { force: true });
    }
    fs.rmSync(directory, { recursive: true, force: true });
  }
  return 0;
}

runCommand(main);
