'use strict';

// What operators cost the program: how long connections take meanwhile, and how long operators wait.

const { setTimeout } = require('node:timers/promises');
const { selectCases } = require('../lib/cases.js');
const { threadCpuOf } = require('../lib/cpu.js');
const { describeDisturbance, watchOthers } = require('../lib/disturbance.js');
const { describeFailures } = require('../lib/failing.js');
const { PERCENTILES, measureLatency } = require('../lib/fixed-rate.js');
const { implementations } = require('../lib/implementations.js');
const { buildLoad } = require('../lib/load.js');
const { startOperators, timeOf } = require('../lib/operators.js');
const { interleave } = require('../lib/rounds.js');
const { startServer } = require('../lib/server.js');
const { compareRounds, quantile } = require('../lib/statistics.js');
const {
  formatMedian,
  formatNumber,
  formatRange,
  formatRatio,
  formatTable,
} = require('../lib/table.js');
const { UserError } = require('../../tools/user-error.js');

const BASELINE = 'none';
/** What the clients of the admin endpoint do, as `../programs/operators.js` names it. */
const KINDS = {
  none: 'no operators',
  scrapes: 'a scrape each 100 ms',
  slow: '500 slow clients',
  flood: '32 flood it with requests',
  connections: '32 flood it with connections',
};
const ENGINE = 'rs-cluster';
const ASKED = ['/metrics', '/status'];
const REQUESTS = 200;
/** Between two requests, in ms. */
const PAUSE = 5;
const BLOCK_MS = 180_000;

const COLUMNS = [
  ...PERCENTILES,
  { key: 'engine', title: 'engine %', unit: '% of a processor', label: 'engine', digits: 1 },
  ...ASKED.flatMap((url) => [
    { key: `${url} p50`, title: `${url} p50 ms`, unit: 'ms', label: `${url} p50`, digits: 2 },
    { key: `${url} p99`, title: 'p99 ms', unit: 'ms', label: `${url} p99`, digits: 2 },
  ]),
];

/** Every opponent with every kind of operators. */
function casesOf(options) {
  return implementations(options).flatMap(({ name, implementation }) =>
    Object.entries(KINDS).map(([kind, what]) => ({
      name: name === 'rs-cluster' ? what : `${name}, ${what}`,
      kind,
      implementation,
      program: 'supervised.js',
      node: options.node,
    })),
  );
}

/** How much of a processor the engine's thread uses while `act` runs, in percent. */
async function shareOfEngine({ primary }, act) {
  const before = threadCpuOf(primary, ENGINE);
  const begun = performance.now();
  const result = await act();
  const microseconds = threadCpuOf(primary, ENGINE) - before;
  const share = before === null ? null : microseconds / 10 / (performance.now() - begun);
  return { ...result, engine: share };
}

/** Asks now and then while the JavaScript of the primary and of the workers is stuck. */
async function askWhileStuck(server) {
  await server.block(BLOCK_MS);
  const begun = performance.now();
  const times = Object.fromEntries(ASKED.map((url) => [url, []]));
  for (let i = 0; i < REQUESTS; i += 1) {
    for (const url of ASKED) {
      times[url].push(await timeOf(server.admin, url));
      await setTimeout(PAUSE);
    }
  }
  if (performance.now() - begun > BLOCK_MS) {
    throw new UserError('the primary was no longer blocked, this machine is too busy');
  }
  const answered = ASKED.map((url) => [url, times[url].filter((time) => time !== null)]);
  const unanswered = ASKED.length * REQUESTS - answered.flatMap(([, all]) => all).length;
  return {
    ...Object.fromEntries(
      answered.flatMap(([url, all]) => [
        [`${url} p50`, quantile(all, 0.5)],
        [`${url} p99`, quantile(all, 0.99)],
      ]),
    ),
    unanswered,
  };
}

async function measureBeside(server, { kind }, options) {
  const operators = await startOperators(kind, server.admin);
  try {
    const measure = () => measureLatency(server, { protocol: 'http' }, options);
    const loaded = await shareOfEngine(server, measure);
    const { unanswered, ...asked } = await askWhileStuck(server);
    const done = await operators.stop();
    const remarks = unanswered > 0 ? [`${unanswered} requests of operators without an answer`] : [];
    return { ...loaded, ...asked, done, failures: [...loaded.failures, ...remarks] };
  } finally {
    operators.kill();
  }
}

async function measure(opponent, { workers, ...options }) {
  const server = await startServer(opponent, { workers });
  const measured = watchOthers(() => measureBeside(server, opponent, options));
  try {
    return await Promise.race([measured, server.ended]);
  } finally {
    await server.stop();
    await measured.catch(() => {});
  }
}

function logRound({ name }, round, rounds, { p99, failures, done }) {
  const facts = Object.entries(done).filter(([, count]) => count > 0);
  const counts = facts.map(([what, count]) => `${count} ${what}`);
  const remarks = [...counts, ...failures.map((failure) => `! ${failure}`)].join(', ');
  const line = `round ${round}/${rounds}  ${name.padEnd(30)}p99 ${formatNumber(p99, 2)} ms`;
  process.stderr.write(`${line}  ${remarks}\n`);
}

async function run(options) {
  const { rounds, seconds, rate } = options;
  const [workers, ...others] = options.workers;
  if (others.length > 0) throw new UserError('operators takes one number of --workers.');
  await buildLoad();
  const cases = selectCases(casesOf(options), options.only);
  const results = await interleave(cases, rounds, async (it, round) => {
    const measured = await measure(it, { workers, seconds, rate });
    logRound(it, round, rounds, measured);
    return measured;
  });
  const summarize = (it) => {
    const isBaseline = (other) =>
      other.kind === BASELINE && other.implementation === it.implementation;
    const baseline = results.find(isBaseline);
    const values = COLUMNS.map(({ key }) => [key, compareRounds(it.rounds, baseline?.rounds, key)]);
    return { name: it.name, ...Object.fromEntries(values), rounds: it.rounds };
  };
  return { settings: { rounds, seconds, rate, workers }, opponents: results.map(summarize) };
}

function format({ settings: { rounds, seconds, rate, workers }, opponents }) {
  const isCompared = ({ key }) => PERCENTILES.some((it) => it.key === key);
  const header = COLUMNS.flatMap((column) =>
    isCompared(column) ? [column.title, 'min - max', 'ratio'] : [column.title],
  );
  const rows = opponents.map((it) => [
    it.name,
    ...COLUMNS.flatMap((column) => {
      const value = it[column.key];
      const median = formatMedian(value, column.digits);
      if (!isCompared(column)) return [median];
      return [median, formatRange(value, column.digits), formatRatio(value)];
    }),
  ]);
  const remarks = opponents.flatMap(({ name, rounds: all }) => [
    ...all.flatMap(({ failures = [] }, index) =>
      failures.map((failure) => `! ${name}, round ${index + 1}: ${failure}`),
    ),
    ...describeFailures(name, all),
    ...describeDisturbance(name, all),
  ]);
  return [
    `Rounds: ${rounds} of ${seconds} s each; ${rate} connections a second to ${workers} workers`,
    `Medians; ratios to a round without operators`,
    '',
    formatTable(['clients of the admin endpoint', ...header], rows) +
      remarks.map((line) => `${line}\n`).join(''),
  ].join('\n');
}

function figures({ settings: { rate }, opponents }) {
  return COLUMNS.map(({ key, label, unit, digits }) => ({
    label: `HTTP, ${rate}/s, beside operators, ${label}`,
    unit,
    digits,
    better: 'less',
    values: opponents.map(({ name, [key]: value }) => ({ name, ...value })),
  }));
}

module.exports = {
  summary: 'how long a connection takes while operators ask, or flood, the admin endpoint',
  defaults: { rounds: '2', seconds: '5', rate: '1000' },
  quick: { rounds: '1', seconds: '3' },
  figures,
  format,
  run,
};
