'use strict';

// Every shape of traffic while all workers are replaced, one after the other.

const { setTimeout } = require('node:timers/promises');
const { everyShape } = require('../lib/every-shape.js');
const { buildLoad } = require('../lib/load.js');
const { findReplacers } = require('../lib/replacers.js');
const { interleave } = require('../lib/rounds.js');
const { compare } = require('../lib/statistics.js');
const { formatNumber, formatRange, formatTable } = require('../lib/table.js');
const { startTraffic } = require('../lib/traffic.js');
const { startTrafficServer } = require('../lib/traffic-server.js');
const { UserError } = require('../../tools/user-error.js');

const REPLACEMENTS = 2;
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

const COLUMNS = [
  { key: 'failedShare', title: 'failed per 100,000', digits: 1 },
  { key: 'closed', title: 'connections closed', digits: 0 },
  { key: 'requests', title: 'requests', digits: 0 },
  { key: 'replaced', title: 's to replace all', digits: 1 },
];

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** How many connections clients had to open anew because the server had closed the old one. */
function countClosed(shapes, wanted) {
  const clients = new Map(wanted.map(({ name, shape, count = 1 }) => [name ?? shape, count]));
  const kept = shapes.filter(({ name }) => KEPT.includes(name));
  return sum(kept.map(({ name, opened, closed }) => opened - closed.byClient - clients.get(name)));
}

/** Replacements begin at fixed times, so that slow ones are not compared with more requests. */
async function replaceNowAndThen({ replace }, traffic, seconds) {
  const started = performance.now();
  const times = [];
  for (let i = 1; i <= REPLACEMENTS; i += 1) {
    await traffic.burst();
    const { ms } = await replace();
    times.push(ms / 1e3);
    await setTimeout((seconds * 1e3 * i) / REPLACEMENTS - (performance.now() - started));
  }
  return sum(times) / times.length;
}

async function play(server, seconds) {
  const shapes = everyShape(server.at);
  const traffic = await startTraffic(shapes);
  try {
    await traffic.ready();
    const replaced = await replaceNowAndThen(server, traffic, seconds);
    const { total, shapes: played } = await traffic.stop();
    return {
      failedShare: (total.failed / total.requests) * 1e5,
      closed: countClosed(played, shapes),
      requests: total.requests,
      failed: total.failed,
      replaced,
      shapes: played,
    };
  } finally {
    traffic.kill();
  }
}

async function measure(opponent, settings) {
  const server = await startTrafficServer(opponent, settings);
  const played = play(server, settings.seconds);
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

function summarize({ name, rounds }) {
  const values = ({ key }) => [
    key,
    compare(
      rounds.map((round) => round[key]),
      [],
    ),
  ];
  return { name, ...Object.fromEntries(COLUMNS.map(values)), rounds };
}

async function run(options) {
  const { rounds, node, seconds } = options;
  const [workers, ...others] = options.workers;
  if (others.length > 0) throw new UserError('drain takes one number of --workers.');
  await buildLoad();
  const { opponents, skipped } = await findReplacers(options);
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await measure(opponent, { node, workers, seconds, timeout: TIMEOUT });
    logRound(opponent, round, rounds, measured);
    return measured;
  });
  return { settings: { rounds, workers, seconds }, skipped, opponents: results.map(summarize) };
}

function formatSummary(opponents) {
  const header = COLUMNS.flatMap(({ title }) => [title, 'min - max']);
  const rows = opponents.map((opponent) => [
    opponent.name,
    ...COLUMNS.flatMap(({ key, digits }) => [
      formatNumber(opponent[key].median, digits),
      formatRange(opponent[key], digits),
    ]),
  ]);
  return formatTable(['opponent', ...header], rows);
}

/** How the requests of each shape failed, over all rounds. */
function formatShapes({ name, rounds }) {
  const rows = rounds[0].shapes.map((shape) => {
    const all = rounds.map(({ shapes }) => shapes.find((it) => it.name === shape.name));
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

function format({ settings: { rounds, workers, seconds }, skipped, opponents }) {
  const heading =
    `Rounds: ${rounds} of ${seconds} s; in each, all ${workers} workers are replaced ${REPLACEMENTS} times, ` +
    `and may take ${TIMEOUT / 1e3} s to leave\n`;
  const remarks = skipped.map((line) => `${line}\n`);
  return [heading, formatSummary(opponents), ...opponents.map(formatShapes), ...remarks].join('\n');
}

const FIGURES = [
  { key: 'failedShare', label: 'failed requests', unit: 'per 100,000', digits: 1 },
  { key: 'closed', label: 'closed connections', unit: 'connections', digits: 0 },
];

function figures({ opponents }) {
  return FIGURES.map(({ key, label, ...figure }) => ({
    ...figure,
    label: `all workers replaced, ${label}`,
    better: 'less',
    values: opponents.map(({ name, [key]: value }) => ({ name, ...value })),
  }));
}

module.exports = {
  summary: 'what fails while workers are replaced under every shape of traffic',
  defaults: { rounds: '3', seconds: '30' },
  figures,
  format,
  run,
};
