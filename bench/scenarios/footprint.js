'use strict';

// What an application pays before its first request: the time to load the module and to start a worker, and
// the memory and threads of that worker.

const { describeDisturbance, watchOthers } = require('../lib/disturbance.js');
const { describeFailures } = require('../lib/failing.js');
const { implementations } = require('../lib/implementations.js');
const { BASELINE } = require('../lib/opponents.js');
const { runProgram } = require('../lib/program.js');
const { interleave } = require('../lib/rounds.js');
const { compareRounds, median } = require('../lib/statistics.js');
const {
  formatMedian,
  formatNumber,
  formatRange,
  formatRatio,
  formatTable,
} = require('../lib/table.js');

const STARTS_A_ROUND = 5;
const ROUND_LIMIT_MS = 30_000;

const FIGURES = [
  { key: 'load', label: 'require()', unit: 'ms', digits: 1 },
  { key: 'start', label: 'a worker, until it listens', unit: 'ms', digits: 1 },
  { key: 'resident', label: 'memory of a worker, resident', unit: 'MB', digits: 1 },
  { key: 'own', label: 'memory of a worker, its own', unit: 'MB', digits: 1 },
  { key: 'threads', label: 'threads of a worker', unit: '1', digits: 0 },
];

async function measureRound({ name, implementation }, node) {
  const starts = [];
  for (let i = 0; i < STARTS_A_ROUND; i += 1) {
    const limitMs = ROUND_LIMIT_MS;
    const args = [implementation];
    starts.push(await runProgram({ name, node, program: 'footprint.js', args, limitMs }));
  }
  const medianOf = ({ key }) => [key, median(starts.map((start) => start[key]))];
  return Object.fromEntries(FIGURES.map(medianOf));
}

async function run({ rounds, node, against }) {
  const builtin = { name: BASELINE, implementation: 'node:cluster' };
  const opponents = [...implementations({ against }), builtin];
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await watchOthers(() => measureRound(opponent, node));
    const load = `${formatNumber(measured.load, 1)} ms`;
    process.stderr.write(`round ${round}/${rounds}  ${opponent.name.padEnd(28)}${load}\n`);
    return measured;
  });
  const roundsOf = (wanted) => results.find(({ name }) => name === wanted).rounds;
  return {
    settings: { rounds, starts: STARTS_A_ROUND },
    opponents: results.map(({ name, rounds: own }) => {
      const compared = ({ key }) => [key, compareRounds(own, roundsOf(BASELINE), key)];
      return { name, ...Object.fromEntries(FIGURES.map(compared)), rounds: own };
    }),
  };
}

function format({ settings: { rounds, starts }, opponents }) {
  const rows = FIGURES.flatMap(({ key, label, unit, digits }) =>
    opponents.map(({ name, [key]: it }) => [
      `${label}: ${unit}`,
      name,
      formatMedian(it, digits),
      formatRange(it, digits),
      formatRatio(it),
    ]),
  );
  const remarks = opponents.flatMap(({ name, rounds: all }) => [
    ...describeFailures(name, all),
    ...describeDisturbance(name, all),
  ]);
  return [
    `Rounds: ${rounds} of ${starts} starts each; medians of the rounds' medians`,
    '',
    formatTable(['figure', 'opponent', 'median', 'min - max', 'ratio'], rows) +
      remarks.map((line) => `${line}\n`).join(''),
  ].join('\n');
}

function figures({ opponents }) {
  return FIGURES.map(({ key, ...figure }) => ({
    ...figure,
    better: 'less',
    values: opponents.map(({ name, [key]: compared }) => ({ name, ...compared })),
  }));
}

module.exports = {
  summary: 'what loading the module and starting a worker take, and what the worker has',
  figures,
  format,
  run,
};
