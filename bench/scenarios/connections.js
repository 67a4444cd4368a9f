'use strict';

// New HTTP connections a second: every request opens a connection and closes it, so that the
// hand-over of connections is most of what differs.

const { cpuOf, cpuSource } = require('../lib/cpu.js');
const { hasReusePort } = require('../lib/reuse-port.js');
const { interleave } = require('../lib/rounds.js');
const { startServer } = require('../lib/server.js');
const { compare } = require('../lib/statistics.js');
const { formatNumber, formatRatio, formatTable } = require('../lib/table.js');
const { requireWrk, runWrk } = require('../lib/wrk.js');

const LOAD = { threads: 1, connections: 64, headers: { Connection: 'close' } };
const WARM_UP_SECONDS = 1;

const BASELINE = 'node:cluster round-robin';
const OPPONENTS = [
  { name: 'rs-cluster', program: 'rs-cluster.js' },
  { name: BASELINE, program: 'node-cluster-rr.js' },
  { name: 'node:cluster shared', program: 'node-cluster-shared.js' },
  { name: 'independent reusePort', program: 'reuse-port.js', supported: hasReusePort },
];

const ERROR_NAMES = {
  connect: 'connect errors',
  read: 'read errors',
  write: 'write errors',
  timeout: 'timeouts',
  status: 'non-2xx responses',
};

function readCpu({ primary, workers }) {
  return { primary: cpuOf([primary]), workers: cpuOf(workers) };
}

function cpuPerConnection(before, after, connections) {
  if (before === null || connections === 0) return null;
  return (after - before) / connections;
}

async function measureServer(server, seconds) {
  const warmUp = await runWrk({ ...LOAD, url: server.url, seconds: WARM_UP_SECONDS });
  const before = readCpu(server);
  const load = await runWrk({ ...LOAD, url: server.url, seconds });
  const after = readCpu(server);
  return {
    ...load,
    warmUpErrors: warmUp.errors,
    primaryCpu: cpuPerConnection(before.primary, after.primary, load.requests),
    workersCpu: cpuPerConnection(before.workers, after.workers, load.requests),
  };
}

async function measureRound(opponent, { node, workers, seconds }) {
  const server = await startServer({ ...opponent, node, workers });
  try {
    return await Promise.race([measureServer(server, seconds), server.ended]);
  } finally {
    await server.stop();
  }
}

function failuresOf({ errors, warmUpErrors, requests }) {
  const nothing = requests === 0 ? ['nothing served'] : [];
  const inWarmUp = listErrors(warmUpErrors).map((failure) => `${failure} (warm-up)`);
  return [...nothing, ...listErrors(errors), ...inWarmUp];
}

function listErrors(errors) {
  const counted = Object.entries(errors).filter(([, count]) => count > 0);
  return counted.map(([kind, count]) => `${count} ${ERROR_NAMES[kind]}`);
}

function logRound({ name }, round, rounds, measured) {
  const failures = failuresOf(measured);
  const remark = failures.length ? `  ! ${failures.join(', ')}` : '';
  const rate = `${formatNumber(measured.rate)} connections/s`;
  process.stderr.write(`round ${round}/${rounds}  ${name.padEnd(26)}${rate}${remark}\n`);
}

function summarizeOpponent(opponent, baseline) {
  const { name, rounds } = opponent;
  const compareRounds = (key) => {
    const valuesOf = (it) => it.rounds.map((round) => round[key]);
    return compare(valuesOf(opponent), valuesOf(baseline));
  };
  return {
    name,
    rate: compareRounds('rate'),
    primaryCpu: compareRounds('primaryCpu'),
    workersCpu: compareRounds('workersCpu'),
    rounds: rounds.map((round) => ({ ...round, failures: failuresOf(round) })),
  };
}

async function run(options, { nodeVersion }) {
  requireWrk(options);
  const { rounds, seconds, workers, node } = options;
  const runs = ({ supported }) => !supported || supported(node);
  const opponents = OPPONENTS.filter(runs);
  const skipped = OPPONENTS.filter((opponent) => !opponents.includes(opponent));
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await measureRound(opponent, options);
    logRound(opponent, round, rounds, measured);
    return measured;
  });
  const baseline = results.find(({ name }) => name === BASELINE);
  return {
    settings: { rounds, seconds, workers, warmUpSeconds: WARM_UP_SECONDS, load: LOAD, cpuSource },
    skipped: skipped.map(({ name }) => `${name}: not available on Node ${nodeVersion}`),
    opponents: results.map((opponent) => summarizeOpponent(opponent, baseline)),
  };
}

function formatRow({ name, rate, primaryCpu, workersCpu, rounds }) {
  const failed = rounds.filter(({ failures }) => failures.length > 0).length;
  return [
    name,
    formatNumber(rate.median),
    `${formatNumber(rate.min)} - ${formatNumber(rate.max)}`,
    formatRatio(rate),
    formatNumber(primaryCpu.median, 1),
    formatRatio(primaryCpu),
    formatNumber(workersCpu.median, 1),
    failed ? `${failed} of ${rounds.length}` : '0',
  ];
}

const HEADER = [
  'opponent',
  'connections/s',
  'min - max',
  'ratio',
  'primary µs/conn',
  'ratio',
  'workers µs/conn',
  'bad rounds',
];

function formatFailures({ name, rounds }) {
  return rounds.flatMap(({ failures }, index) =>
    failures.length ? [`! ${name}, round ${index + 1}: ${failures.join(', ')}`] : [],
  );
}

function formatHeading({ rounds, seconds, workers, warmUpSeconds, load, cpuSource: source }) {
  return [
    `Workers: ${workers}; rounds: ${rounds} of ${seconds} s each, after ${warmUpSeconds} s of ` +
      `warm-up; load: ${load.connections} connections at a time from wrk on the same machine`,
    `Medians; ratios to ${BASELINE}; CPU from ${source ?? 'nowhere: no /proc here'}`,
  ];
}

function format({ settings, skipped, opponents }) {
  const table = formatTable(HEADER, opponents.map(formatRow));
  const remarks = [...opponents.flatMap(formatFailures), ...skipped];
  return `${[...formatHeading(settings), '', table + remarks.join('\n')].join('\n').trimEnd()}\n`;
}

module.exports = {
  summary: 'new HTTP connections a second (Connection: close), CPU per connection',
  format,
  run,
};
