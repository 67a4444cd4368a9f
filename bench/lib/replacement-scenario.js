'use strict';

// Makes scenarios that play every shape of traffic while all workers are replaced.

const { setTimeout } = require('node:timers/promises');
const { selectCases } = require('./cases.js');
const { describeDisturbance, watchOthers } = require('./disturbance.js');
const { describeFailures } = require('./failing.js');
const { everyShape } = require('./every-shape.js');
const { buildLoad } = require('./load.js');
const { interleave } = require('./rounds.js');
const { compareRounds } = require('./statistics.js');
const { formatMedian, formatNumber, formatRange, formatTable } = require('./table.js');
const { startTraffic } = require('./traffic.js');
const { startTrafficServer } = require('./traffic-server.js');
const { UserError } = require('../../tools/user-error.js');

/** How long a worker may take to leave, in ms. It is longer than any request, and than Node keeps connections. */
const TIMEOUT = 6_000;
// A client of these shapes keeps its connection, unless the server closes it.
const KEPT = [
  'get',
  'post',
  'late',
  'pipeline',
  'upload',
  'early',
  'download',
  'events',
  'unix',
  'tls-1-3',
  'h2c',
  'h2',
];

// Requests of these shapes are answered at once.
const PROMPT = [
  'connections',
  'open',
  'get',
  'post',
  'late',
  'pipeline',
  'silent',
  'unix',
  'tls-1-3',
  'tls-1-2',
  'h2c',
  'h2',
];

const COLUMNS = [
  { key: 'failedShare', title: 'failed per 100,000', digits: 1 },
  { key: 'closed', title: 'connections closed', digits: 0 },
  { key: 'longest', title: 'longest wait ms', digits: 0 },
  { key: 'requests', title: 'requests', digits: 0 },
];

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** How many connections clients had to open anew because the server had closed the old one. */
function countClosed(shapes, wanted) {
  const clients = new Map(wanted.map(({ name, shape, count = 1 }) => [name ?? shape, count]));
  const kept = shapes.filter(({ name }) => KEPT.includes(name));
  return sum(kept.map(({ name, opened, closed }) => opened - closed.byClient - clients.get(name)));
}

/** The longest time in which a request was answered that needs none, in ms. */
function longestWait(shapes) {
  const prompt = shapes.filter(({ name }) => PROMPT.includes(name));
  return Math.max(...prompt.map(({ latency }) => latency.max ?? 0)) / 1e3;
}

/**
 * Replacements begin at fixed times, so that slow ones are not compared with more requests.
 *
 * @returns how many seconds one takes, as the opponent says
 */
async function replaceNowAndThen({ replace }, traffic, { seconds, times }) {
  const started = performance.now();
  const durations = [];
  for (let i = 1; i <= times; i += 1) {
    await traffic.burst();
    const { ms } = await replace();
    durations.push(ms / 1e3);
    await setTimeout((seconds * 1e3 * i) / times - (performance.now() - started));
  }
  return sum(durations) / durations.length;
}

async function play(server, pace) {
  const shapes = everyShape(server.at);
  const traffic = await startTraffic(shapes);
  try {
    await traffic.ready();
    const replaced = await replaceNowAndThen(server, traffic, pace);
    const { total, shapes: played } = await traffic.stop();
    return {
      failedShare: (total.failed / total.requests) * 1e5,
      closed: countClosed(played, shapes),
      longest: longestWait(played),
      requests: total.requests,
      failed: total.failed,
      replaced,
      shapes: played,
    };
  } finally {
    traffic.kill();
  }
}

async function measure(opponent, { node, workers, ...pace }) {
  const server = await startTrafficServer(opponent, { node, workers, timeout: TIMEOUT });
  const played = watchOthers(() => play(server, pace));
  try {
    return await Promise.race([played, server.ended]);
  } finally {
    await server.stop();
    await played.catch(() => {});
  }
}

function logRound({ name }, round, rounds, { failed, requests, closed }) {
  const result = `${failed} of ${formatNumber(requests)} requests failed, ${closed} connections closed`;
  process.stderr.write(`round ${round}/${rounds}  ${name.padEnd(26)}${result}\n`);
}

function formatSummary(opponents, columns) {
  const header = columns.flatMap(({ title }) => [title, 'min - max']);
  const rows = opponents.map((opponent) => [
    opponent.name,
    ...columns.flatMap(({ key, digits }) => [
      formatMedian(opponent[key], digits),
      formatRange(opponent[key], digits),
    ]),
  ]);
  return formatTable(['opponent', ...header], rows);
}

/** How the requests of each shape failed, over all rounds. */
function formatShapes({ name, rounds }) {
  const played = rounds.filter(({ failure }) => !failure);
  if (played.length === 0) return '';
  const rows = played[0].shapes.map((shape) => {
    const all = played.map(({ shapes }) => shapes.find((it) => it.name === shape.name));
    const classes = new Set(all.flatMap(({ failures }) => Object.keys(failures)));
    const how = [...classes].map((it) => {
      const count = sum(all.map(({ failures }) => failures[it] ?? 0));
      return `${formatNumber(count)} ${it}`;
    });
    const requests = sum(all.map((it) => it.requests));
    const failed = sum(all.map((it) => it.failed));
    return [shape.name, how.join(', ') || '-', formatNumber(requests), formatNumber(failed)];
  });
  return formatTable([name, 'how', 'requests', 'failed'], rows, 2);
}

/**
 * @param {object} scenario
 * @param {string} scenario.name
 * @param {string} scenario.summary
 * @param {string} [scenario.subject] what is replaced
 * @param {string} scenario.what what happens to that, as the report says
 * @param {string} scenario.duration the title of the column of the time that this takes
 * @param {number} scenario.times how often it happens in a round
 * @param {(options: object) => Promise<{ opponents: object[], skipped: string[] }>} scenario.find
 * @param {object[]} scenario.figures for the report: `key`, `label`, `unit` and `digits`
 * @param {object} scenario.defaults
 * @param {object} scenario.quick the defaults for a short run
 */
function replacementScenario(scenario) {
  const { name, summary, subject = 'all workers', what } = scenario;
  const { duration, times, find, figures, defaults, quick } = scenario;
  const columns = [...COLUMNS, { key: 'replaced', title: duration, digits: 1 }];

  const summarize = ({ name: opponent, rounds }) => {
    const values = ({ key }) => [key, compareRounds(rounds, undefined, key)];
    return { name: opponent, ...Object.fromEntries(columns.map(values)), rounds };
  };

  async function run(options) {
    const { rounds, node, seconds } = options;
    const [workers, ...others] = options.workers;
    if (others.length > 0) throw new UserError(`${name} takes one number of --workers.`);
    await buildLoad();
    const { opponents, skipped } = await find(options);
    const chosen = selectCases(opponents, options.only);
    const results = await interleave(chosen, rounds, async (opponent, round) => {
      const measured = await measure(opponent, { node, workers, seconds, times });
      logRound(opponent, round, rounds, measured);
      return measured;
    });
    return { settings: { rounds, workers, seconds }, skipped, opponents: results.map(summarize) };
  }

  function format({ settings: { rounds, workers, seconds }, skipped, opponents }) {
    const heading =
      `Rounds: ${rounds} of ${seconds} s with ${workers} workers; ${subject} ${what} ${times} times in each; ` +
      `workers may take ${TIMEOUT / 1e3} s to leave\n`;
    const described = opponents.flatMap(({ name: opponent, rounds: all }) => [
      ...describeFailures(opponent, all),
      ...describeDisturbance(opponent, all),
    ]);
    const remarks = [...described, ...skipped].map((line) => `${line}\n`);
    const tables = [formatSummary(opponents, columns), ...opponents.map(formatShapes)];
    return [heading, ...tables, ...remarks].join('\n');
  }

  const figuresOf = ({ opponents }) =>
    figures.map(({ key, label, ...figure }) => ({
      ...figure,
      label: `${subject} ${what}, ${label}`,
      better: 'less',
      values: opponents.map(({ name: opponent, [key]: value }) => ({ name: opponent, ...value })),
    }));

  return { summary, defaults, quick, figures: figuresOf, format, run };
}

module.exports = { replacementScenario };
