'use strict';

// What the primary costs as it grows: with many workers, of which most sleep, many open connections, and many
// listeners.

const os = require('node:os');
const { setTimeout } = require('node:timers/promises');
const { selectCases } = require('../lib/cases.js');
const { measureCost } = require('../lib/cost.js');
const { cpuOf } = require('../lib/cpu.js');
const { describeDisturbance, watchOthers } = require('../lib/disturbance.js');
const { describeFailures } = require('../lib/failing.js');
const { implementations } = require('../lib/implementations.js');
const { keepOpen, whyNotKept } = require('../lib/kept.js');
const { buildLoad, runLoad } = require('../lib/load.js');
const { memoryOf } = require('../lib/memory.js');
const { BASELINE } = require('../lib/opponents.js');
const { interleave } = require('../lib/rounds.js');
const { startServer } = require('../lib/server.js');
const { compareRounds } = require('../lib/statistics.js');
const { formatMedian, formatNumber, formatRatio, formatTable } = require('../lib/table.js');
const { UserError } = require('../../tools/user-error.js');

const PROGRAM = 'scale.js';
/** What grows, each from small to large. */
const FAMILIES = [
  { family: 'workers', sizes: [2, 8, 64, 256], serverOf: (workers) => ({ workers }) },
  {
    family: 'connections open',
    sizes: [100, 1_000, 10_000, 100_000],
    serverOf: (kept, workers) => ({ workers, kept }),
  },
  {
    family: 'listeners',
    sizes: [1, 10, 200],
    serverOf: (listeners, workers) => ({ workers, listeners }),
  },
];
/** A worker needs at most so much, in MB, … */
const A_WORKER = 50;
/** … and an open connection, with what the client and the kernel keep of it. */
const A_CONNECTION = 0.04;
/** Until what the start has left to do is done. */
const SETTLE_MS = 1_000;
const IDLE_MS = 2_000;
const CALLS_OF_STATS = 101;
const PATIENCE_SECONDS = 3;

const COLUMNS = [
  { key: 'primaryCpu', title: 'primary µs/conn', label: 'CPU of the primary', unit: 'µs/conn' },
  {
    key: 'idle',
    title: 'idle %',
    label: 'CPU of the idle primary',
    unit: '% of a core',
    digits: 2,
  },
  { key: 'resident', title: 'primary MB', label: 'memory of the primary', unit: 'MB', digits: 1 },
  { key: 'stats', title: 'stats() µs', label: 'a call of stats()', unit: 'µs', digits: 0 },
  { key: 'workerMemory', title: 'a worker MB' },
].map((column) => ({ digits: 1, hasRatio: !['idle', 'stats'].includes(column.key), ...column }));

function casesOf([workers]) {
  return FAMILIES.flatMap(({ family, sizes, serverOf }) =>
    sizes.map((size) => ({
      name: `${formatNumber(size)} ${family}`,
      family,
      size,
      server: { listeners: 1, kept: 0, ...serverOf(size, workers) },
    })),
  );
}

/** Why a case can't be measured on this machine. */
function whyNot({ workers, kept }) {
  const free = os.freemem() / 1024 ** 2;
  const needed = workers * A_WORKER + kept * A_CONNECTION;
  if (needed > free) return `${formatNumber(needed)} MB needed, ${formatNumber(free)} MB free`;
  return whyNotKept(kept, workers);
}

/** How much of a processor the primary uses while nothing happens, in percent. */
async function measureIdle({ primary }) {
  await setTimeout(SETTLE_MS);
  const [begun, before] = [performance.now(), cpuOf([primary])];
  await setTimeout(IDLE_MS);
  const used = cpuOf([primary]) - before;
  return before === null ? null : used / 10 / (performance.now() - begun);
}

function measureMemory({ primary, workers }) {
  const all = workers.map((pid) => memoryOf(pid).own);
  const workerMemory = all.reduce((sum, it) => sum + it, 0) / all.length;
  return { resident: memoryOf(primary).resident, workerMemory };
}

async function measureServer(server, { kept }, { rate, seconds }) {
  const { port, furtherPorts } = server;
  const load = { port, furtherPorts, protocol: 'http', pace: { rate } };
  const patienceSeconds = PATIENCE_SECONDS;
  const run = (duration) => runLoad({ ...load, seconds: duration, patienceSeconds });
  const connections = await keepOpen(port, kept);
  try {
    const idle = await measureIdle(server);
    const { primaryCpu, requests, failures } = await measureCost(server, run, seconds);
    const memory = measureMemory(server);
    const { stats } = await server.ask({ stats: CALLS_OF_STATS });
    const lost = await connections.close();
    const remarks = lost > 0 ? [`${lost} open connections closed by the server`] : [];
    return { primaryCpu, idle, stats, ...memory, requests, failures: [...failures, ...remarks] };
  } finally {
    connections.kill();
  }
}

async function measure(opponent, settings, options) {
  const server = await startServer(opponent, settings);
  const measured = watchOthers(() => measureServer(server, settings, options));
  try {
    return await Promise.race([measured, server.ended]);
  } finally {
    await server.stop();
    await measured.catch(() => {});
  }
}

function logRound(it, opponent, round, rounds, measured) {
  const figures = COLUMNS.map(
    ({ key, title, digits }) => `${title} ${formatNumber(measured[key], digits)}`,
  );
  const remarks = measured.failures.map((failure) => `  ! ${failure}`).join('');
  const where = `round ${round}/${rounds}  ${it.name.padEnd(26)}${opponent.name.padEnd(26)}`;
  process.stderr.write(`${where}${figures.join(', ')}${remarks}\n`);
}

function summarize({ name, rounds }, baseline) {
  const compared = COLUMNS.map(({ key }) => [key, compareRounds(rounds, baseline.rounds, key)]);
  return { name, ...Object.fromEntries(compared), rounds };
}

async function measureCase(it, opponents, options) {
  const results = await interleave(opponents, options.rounds, async (opponent, round) => {
    const measured = await measure(opponent, it.server, options);
    logRound(it, opponent, round, options.rounds, measured);
    return measured;
  });
  const baseline = results.find(({ name }) => name === BASELINE);
  return { ...it, opponents: results.map((opponent) => summarize(opponent, baseline)) };
}

async function run(options) {
  const { rounds, seconds, rate, node, only } = options;
  if (options.workers.length > 1) throw new UserError('scale takes one number of --workers.');
  const wanted = selectCases(casesOf(options.workers), only);
  await buildLoad();
  const opponents = [...implementations(options), { name: BASELINE }].map((it) => ({
    ...it,
    program: PROGRAM,
    node,
  }));
  const [cases, skipped] = [[], []];
  for (const it of wanted) {
    const reason = whyNot(it.server);
    if (reason) skipped.push(`${it.name}: not measured, ${reason}`);
    else cases.push(await measureCase(it, opponents, options));
  }
  return { settings: { rounds, seconds, rate, workers: options.workers[0] }, skipped, cases };
}

function formatRows({ name, opponents }) {
  return opponents.map((opponent, index) => [
    index === 0 ? name : '',
    opponent.name,
    ...COLUMNS.flatMap(({ key, digits, hasRatio }) => {
      const median = formatMedian(opponent[key], digits);
      return hasRatio ? [median, formatRatio(opponent[key])] : [median];
    }),
  ]);
}

function format({ settings: { rounds, seconds, rate, workers }, skipped, cases }) {
  const titles = COLUMNS.flatMap(({ title, hasRatio }) => (hasRatio ? [title, 'ratio'] : [title]));
  const failures = cases.flatMap(({ name, opponents }) =>
    opponents.flatMap((opponent) => {
      const where = `${name}, ${opponent.name}`;
      const bad = opponent.rounds.flatMap(({ failures: all = [] }, index) =>
        all.map((it) => `! ${where}, round ${index + 1}: ${it}`),
      );
      const described = describeDisturbance(where, opponent.rounds);
      return [...bad, ...describeFailures(where, opponent.rounds), ...described];
    }),
  );
  return [
    `Rounds: ${rounds} of ${seconds} s each; ${rate} new HTTP connections a second; where not said, ${workers} workers`,
    `Medians; ratios to ${BASELINE}; rs-cluster is supervised`,
    '',
    formatTable(['case', 'opponent', ...titles], cases.flatMap(formatRows), 2),
    ...[...failures, ...skipped].map((line) => `${line}\n`),
  ].join('\n');
}

function figures({ cases }) {
  return cases.flatMap(({ name, family, size, opponents }) =>
    COLUMNS.filter(({ label }) => label).map(({ key, label, unit, digits, hasRatio }) => ({
      label: `${name}, ${label}`,
      unit,
      digits,
      better: 'less',
      grows: { what: family, size, figure: label },
      values: opponents
        .filter((it) => it[key].median !== undefined)
        .map(({ name: opponent, [key]: { ratio, ...value } }) => ({
          name: opponent,
          ...value,
          ...(hasRatio ? { ratio } : {}),
        })),
    })),
  );
}

module.exports = {
  summary: 'what the primary costs with many workers, open connections and listeners',
  defaults: { rounds: '2', seconds: '2', workers: '8', rate: '1000' },
  quick: { rounds: '1', seconds: '1' },
  figures,
  format,
  run,
};
