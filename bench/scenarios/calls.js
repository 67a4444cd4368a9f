'use strict';

// System calls for each connection: of the thread that hands it over, and of a worker.

const { selectCases } = require('../lib/cases.js');
const { threadOf } = require('../lib/cpu.js');
const { startCrowd } = require('../lib/crowd.js');
const { describeDisturbance, watchOthers } = require('../lib/disturbance.js');
const { describeFailures } = require('../lib/failing.js');
const { implementations } = require('../lib/implementations.js');
const { buildLoad, runLoad } = require('../lib/load.js');
const { BASELINE } = require('../lib/opponents.js');
const { interleave } = require('../lib/rounds.js');
const { startServer } = require('../lib/server.js');
const { compareRounds } = require('../lib/statistics.js');
const { requireStrace, traceCalls } = require('../lib/system-calls.js');
const { formatMedian, formatNumber, formatRange, formatTable } = require('../lib/table.js');
const { UserError } = require('../../tools/user-error.js');

const CROWD = 6;
const ENGINE = 'rs-cluster';

const CASES = [
  { name: '64 at once', concurrency: 64, crowd: 0 },
  { name: '64 at once, overloaded', concurrency: 64, crowd: CROWD },
  { name: 'one at a time', concurrency: 1, crowd: 0 },
];

const COLUMNS = [
  { key: 'primary', title: 'primary', label: 'calls of the primary', digits: 2 },
  { key: 'primaryProc', title: 'reads of /proc', label: 'its reads of /proc', digits: 2 },
  { key: 'worker', title: 'worker', label: 'calls of a worker', digits: 2 },
  { key: 'received', title: 'recvmsg', label: 'recvmsg of a worker', digits: 2 },
  { key: 'inVain', title: 'of these EAGAIN', label: 'of these EAGAIN', digits: 2 },
];

/** How long the load goes on besides the time of the traces. */
const SLACK_SECONDS = 3;

function opponentsOf(options) {
  const own = implementations(options).map((it) => ({ ...it, program: 'rs-cluster.js' }));
  const builtin = { name: BASELINE, program: 'node-cluster-rr.js' };
  return [...own, builtin].map((it) => ({ ...it, node: options.node }));
}

/** The counts for each connection. */
function share({ all, byName, again, proc }, connections) {
  if (!connections) throw new UserError('no connection was handed over while calls were traced');
  const per = (counts) =>
    Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / connections]));
  return {
    all: all / connections,
    byName: per(byName),
    again: per(again),
    proc: proc / connections,
  };
}

async function traceBoth({ primary, workers: [worker] }, seconds) {
  // Without an engine it is the main thread that accepts connections.
  const thread = threadOf(primary, ENGINE) ?? primary;
  const accepting = await traceCalls({ pid: primary, thread }, seconds);
  const serving = await traceCalls({ pid: worker, thread: worker }, seconds);
  return {
    // Each connection is accepted once, and a worker ends its side once.
    ofPrimary: share(accepting, accepting.succeeded.accept4),
    ofWorker: share(serving, serving.succeeded.shutdown),
  };
}

async function measureServer(server, { concurrency, crowd }, seconds) {
  const endCrowd = startCrowd(crowd);
  try {
    const pace = { concurrency };
    const time = 2 * seconds + SLACK_SECONDS;
    const load = runLoad({ port: server.port, protocol: 'http', pace, seconds: time });
    const [{ ofPrimary, ofWorker }] = await Promise.all([traceBoth(server, seconds), load]);
    return {
      primary: ofPrimary.all,
      primaryProc: ofPrimary.proc,
      worker: ofWorker.all,
      received: ofWorker.byName.recvmsg ?? 0,
      inVain: ofWorker.again.recvmsg ?? 0,
      ofPrimary,
      ofWorker,
    };
  } finally {
    endCrowd();
  }
}

async function measure(opponent, it, { workers, seconds }) {
  const server = await startServer(opponent, { workers, protocol: 'http' });
  const measured = watchOthers(() => measureServer(server, it, seconds));
  try {
    return await Promise.race([measured, server.ended]);
  } finally {
    await server.stop();
    await measured.catch(() => {});
  }
}

async function runCase(it, opponents, { rounds, ...options }) {
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await measure(opponent, it, options);
    const figures = `${formatNumber(measured.primary, 2)} and ${formatNumber(measured.worker, 2)}`;
    const where = `round ${round}/${rounds}  ${it.name.padEnd(24)}${opponent.name.padEnd(26)}`;
    process.stderr.write(`${where}${figures} calls\n`);
    return measured;
  });
  const baseline = results.find(({ name }) => name === BASELINE);
  const summarize = ({ name, rounds: all }) => {
    const compared = ({ key }) => [key, compareRounds(all, baseline.rounds, key)];
    return { name, ...Object.fromEntries(COLUMNS.map(compared)), rounds: all };
  };
  return { ...it, opponents: results.map(summarize) };
}

async function run(options) {
  const { rounds, seconds } = options;
  const [workers, ...others] = options.workers;
  if (others.length > 0) throw new UserError('calls takes one number of --workers.');
  requireStrace();
  await buildLoad();
  const cases = [];
  for (const it of selectCases(CASES, options.only)) {
    cases.push(await runCase(it, opponentsOf(options), { rounds, seconds, workers }));
  }
  return { settings: { rounds, seconds, workers }, cases };
}

/** The median of each call by its name, those first that are made most often. */
function formatNames(rounds, key) {
  const played = rounds.filter(({ failure }) => !failure).map(({ [key]: counts }) => counts);
  const names = new Set(played.flatMap(({ byName }) => Object.keys(byName)));
  const medianOf = (kind, name) =>
    compareRounds(
      played.map((counts) => ({ count: counts[kind][name] ?? 0 })),
      undefined,
      'count',
    ).median;
  const all = [...names].map((name) => [name, medianOf('byName', name), medianOf('again', name)]);
  return all
    .filter(([, count]) => count >= 0.005)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count, again]) => {
      const inVain = again >= 0.005 ? ` (${again.toFixed(2)} EAGAIN)` : '';
      return `${name} ${count.toFixed(2)}${inVain}`;
    })
    .join(', ');
}

function describeCalls({ name: caseName, opponents }) {
  return opponents.flatMap(({ name, rounds }) => [
    `${caseName}, ${name}`,
    `  primary: ${formatNames(rounds, 'ofPrimary')}`,
    `  worker: ${formatNames(rounds, 'ofWorker')}`,
  ]);
}

function describeRounds({ name: caseName, opponents }) {
  return opponents.flatMap(({ name, rounds }) => {
    const where = `${caseName}, ${name}`;
    return [...describeFailures(where, rounds), ...describeDisturbance(where, rounds)];
  });
}

function format({ settings: { rounds, seconds, workers }, cases }) {
  const rows = cases.flatMap(({ name, opponents }) =>
    opponents.map((opponent, index) => [
      index === 0 ? name : '',
      opponent.name,
      ...COLUMNS.flatMap(({ key, digits }) => [
        formatMedian(opponent[key], digits),
        formatRange(opponent[key], digits),
      ]),
    ]),
  );
  const header = ['case', 'opponent', ...COLUMNS.flatMap(({ title }) => [title, 'min - max'])];
  const lines = [...cases.flatMap(describeCalls), ...cases.flatMap(describeRounds)];
  return [
    `Rounds: ${rounds} of ${seconds} s for each thread; ${workers} workers, HTTP; overloaded: ${CROWD} spinning processes`,
    'Medians of system calls for each connection, by strace, which makes all of them slower',
    '',
    formatTable(header, rows, 2),
    ...lines,
    '',
  ].join('\n');
}

function figures({ cases }) {
  return cases.flatMap(({ name, opponents }) =>
    COLUMNS.map(({ key, label, digits }) => ({
      label: `HTTP, ${name}, ${label}`,
      unit: 'calls/connection',
      digits,
      better: 'less',
      values: opponents.map((opponent) => ({ name: opponent.name, ...opponent[key] })),
    })),
  );
}

module.exports = {
  summary: 'system calls for each connection, on a quiet and on an overloaded machine',
  defaults: { rounds: '3', seconds: '1.5' },
  quick: { rounds: '1' },
  figures,
  format,
  run,
};
