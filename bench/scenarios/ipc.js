'use strict';

// Messages between primary and worker: their rate, and their cost in CPU time at both ends.

const { findBun } = require('../lib/bun.js');
const { selectCases } = require('../lib/cases.js');
const { describeDisturbance, watchOthers } = require('../lib/disturbance.js');
const { describeFailures } = require('../lib/failing.js');
const { implementations } = require('../lib/implementations.js');
const { BASELINE: REPORTED_BASELINE } = require('../lib/opponents.js');
const { runProgram } = require('../lib/program.js');
const { interleave } = require('../lib/rounds.js');
const { compareRounds } = require('../lib/statistics.js');
const { formatMedian, formatNumber, formatRatio, formatTable } = require('../lib/table.js');
const { UserError } = require('../../tools/user-error.js');
const MESSAGES = require('../programs/parts/ipc-messages.js');

// V8 needs some ten thousand messages to compile all the code between the two.
const WARM_UP_SECONDS = 1;
const GRACE_MS = 20_000;
const IN_FLIGHT = 200;
const BYTES_IN_FLIGHT = 8 * 1024 ** 2;

const BASELINE = 'node:cluster';

// `figure` converts a rate into the reported figure.
const PATTERNS = {
  burst: { unit: 'messages/s', figure: (rate) => rate },
  one: { unit: 'µs', figure: (rate) => 1e6 / rate },
  broadcast: { unit: 'broadcasts/s', figure: (rate) => rate },
};
const SERIALIZATIONS = ['json', 'advanced'];

function inFlightOf(pattern, message) {
  if (pattern !== 'burst') return 1;
  const size = JSON.stringify(MESSAGES[message]).length;
  return Math.min(IN_FLIGHT, Math.round(BYTES_IN_FLIGHT / size));
}

function describeCase(pattern, message, serialization, workers) {
  return {
    name: [pattern, message, serialization].join(' '),
    pattern,
    message,
    serialization,
    inFlight: inFlightOf(pattern, message),
    workers: pattern === 'broadcast' ? workers : 1,
  };
}

function allCases(workers) {
  return Object.keys(PATTERNS).flatMap((pattern) =>
    Object.keys(MESSAGES).flatMap((message) =>
      SERIALIZATIONS.map((mode) => describeCase(pattern, message, mode, workers)),
    ),
  );
}

async function measure({ name, node, implementation }, { name: caseName, ...settings }, seconds) {
  const times = { warmUpSeconds: WARM_UP_SECONDS, seconds };
  const { messages, rate, primaryCpu, workersCpu } = await runProgram({
    name: `${name}, ${caseName}`,
    node,
    program: 'ipc.js',
    args: [implementation, JSON.stringify({ ...settings, ...times })],
    limitMs: (WARM_UP_SECONDS + seconds) * 1000 + GRACE_MS,
  });
  return {
    messages,
    rate,
    figure: PATTERNS[settings.pattern].figure(rate),
    primaryCpu: primaryCpu / messages,
    workersCpu: workersCpu / messages,
  };
}

const digitsOf = (value) => (value < 1000 ? 1 : 0);

function formatFigure(value) {
  return formatNumber(value, digitsOf(value));
}

function logRound(opponent, round, rounds, { name, pattern }, { figure }) {
  const result = `${formatFigure(figure)} ${PATTERNS[pattern].unit}`;
  const where = `round ${round}/${rounds}  ${name.padEnd(26)}${opponent.name.padEnd(18)}`;
  process.stderr.write(`${where}${result}\n`);
}

function summarizeOpponent({ name, rounds }, baseline) {
  const keys = ['figure', 'rate', 'primaryCpu', 'workersCpu'];
  const values = keys.map((key) => [key, compareRounds(rounds, baseline.rounds, key)]);
  return { name, ...Object.fromEntries(values), rounds };
}

async function measureCase(it, opponents, { rounds, seconds }) {
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await watchOthers(() => measure(opponent, it, seconds));
    logRound(opponent, round, rounds, it, measured);
    return measured;
  });
  const baseline = results.find(({ name }) => name === BASELINE);
  return { ...it, opponents: results.map((opponent) => summarizeOpponent(opponent, baseline)) };
}

async function run(options) {
  const { rounds, seconds, node, only } = options;
  const [workers, ...others] = options.workers;
  if (others.length > 0) throw new UserError('ipc takes one number of --workers.');
  const cases = selectCases(allCases(workers), only);
  const { bun, version, absence } = await findBun(options.bun);
  const guest = {
    name: `Bun ${version}`,
    implementation: 'node:cluster',
    node: bun,
  };
  const builtin = { name: BASELINE, implementation: 'node:cluster' };
  const opponents = [...implementations(options), builtin].map((it) => ({ ...it, node }));
  if (bun) opponents.push(guest);
  const results = [];
  for (const it of cases) results.push(await measureCase(it, opponents, options));
  return {
    settings: { rounds, seconds, workers, warmUpSeconds: WARM_UP_SECONDS },
    skipped: absence ? [`Bun: ${absence}`] : [],
    cases: results,
  };
}

function formatRows({ message, serialization, opponents }) {
  return opponents.map(({ name, figure, rate, primaryCpu, workersCpu }, index) => [
    index === 0 ? `${message}, ${serialization}` : '',
    name,
    formatMedian(figure, digitsOf(figure.median)),
    figure.median === undefined ? '-' : `${formatFigure(figure.min)} - ${formatFigure(figure.max)}`,
    formatRatio(rate),
    formatNumber(primaryCpu.median, 1),
    formatRatio(primaryCpu),
    formatNumber(workersCpu.median, 1),
    formatRatio(workersCpu),
  ]);
}

const TITLES = {
  burst: (cases) => {
    const few = cases.filter(({ inFlight }) => inFlight < IN_FLIGHT);
    const exceptions = few.map(({ message, inFlight }) => `, ${inFlight} of ${message}`);
    return `burst: ${IN_FLIGHT} messages in flight${[...new Set(exceptions)].join('')}; echoed`;
  },
  one: () => 'one: one message at a time, echoed; µs there and back',
  broadcast: ([{ workers }]) =>
    `broadcast: one message to each of ${workers} workers, and the next when all have answered`,
};

function formatPattern(pattern, cases) {
  const header = ['message', 'opponent', PATTERNS[pattern].unit, 'min - max', 'speed'];
  const costs = ['primary µs/msg', 'ratio', 'workers µs/msg', 'ratio'];
  const table = formatTable([...header, ...costs], cases.flatMap(formatRows), 2);
  return `${TITLES[pattern](cases)}\n\n${table}`;
}

function describeRounds({ name: caseName, opponents }) {
  return opponents.flatMap(({ name, rounds }) => {
    const where = `${caseName}, ${name}`;
    return [...describeFailures(where, rounds), ...describeDisturbance(where, rounds)];
  });
}

function format({ settings, skipped, cases }) {
  const { rounds, seconds, warmUpSeconds } = settings;
  const heading = [
    `Rounds: ${rounds} of ${seconds} s each, after ${warmUpSeconds} s of warm-up`,
    `Medians; speed and ratios: times ${BASELINE}; CPU of primary and workers for each message`,
    ...skipped,
  ];
  const tables = Object.keys(PATTERNS).flatMap((pattern) => {
    const own = cases.filter((it) => it.pattern === pattern);
    return own.length > 0 ? [formatPattern(pattern, own)] : [];
  });
  const remarks = cases.flatMap(describeRounds).map((line) => `${line}\n`);
  return `${[`${heading.join('\n')}\n`, ...tables].join('\n')}${remarks.join('')}`;
}

// The report has only those of the 24 cases that most programs need.
const REPORTED = [
  { name: 'burst 64 B json', label: 'messages of 64 B, many in flight', better: 'more' },
  { name: 'one 64 B json', label: 'a message of 64 B there and back', better: 'less' },
  { name: 'broadcast 64 B json', label: 'broadcasts of 64 B', better: 'more' },
];

function figures({ cases }) {
  return REPORTED.flatMap(({ name, label, better }) => {
    const it = cases.find((candidate) => candidate.name === name);
    if (!it) return [];
    const { unit } = PATTERNS[it.pattern];
    const values = it.opponents.map((opponent) => ({
      name: opponent.name === BASELINE ? REPORTED_BASELINE : opponent.name,
      ...opponent.figure,
    }));
    return [{ label, unit, digits: unit === 'µs' ? 1 : 0, better, values }];
  });
}

module.exports = {
  summary: 'messages between primary and worker, CPU per message',
  // With these values 24 cases take less than five minutes.
  defaults: { rounds: '3', seconds: '0.5', workers: '8' },
  quick: { rounds: '1' },
  figures,
  format,
  run,
};
