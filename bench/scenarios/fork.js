'use strict';

// How long fork() blocks the primary's JavaScript, with a small heap and with 2 GB resident.

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

const FORKS_A_ROUND = 10;
const ROUND_LIMIT_MS = 60_000;
const SMALL = 0;
const LARGE = 2048;

const BUILTIN = 'node:cluster';

async function measureRound({ name, implementation, megabytes }, node) {
  const args = [implementation, String(megabytes), String(FORKS_A_ROUND)];
  const limitMs = ROUND_LIMIT_MS;
  const { times } = await runProgram({ name, node, program: 'fork.js', args, limitMs });
  return { times, median: median(times) };
}

async function run({ rounds, node, against }) {
  const all = [...implementations({ against }), { name: BUILTIN, implementation: BUILTIN }];
  const opponents = [SMALL, LARGE].flatMap((megabytes) => all.map((it) => ({ ...it, megabytes })));
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await watchOthers(() => measureRound(opponent, node));
    const { name, megabytes } = opponent;
    const time = `${formatNumber(measured.median, 2)} ms`;
    process.stderr.write(`round ${round}/${rounds}  ${name.padEnd(18)}${megabytes} MB  ${time}\n`);
    return measured;
  });
  return {
    settings: { rounds, forks: FORKS_A_ROUND },
    opponents: results.map((opponent) => {
      const { name, megabytes } = opponent;
      const baseline = results.find((it) => it.name === BUILTIN && it.megabytes === megabytes);
      const time = compareRounds(opponent.rounds, baseline.rounds, 'median');
      return { name, megabytes, time, rounds: opponent.rounds };
    }),
  };
}

const HEADER = ['opponent', 'held MB', 'fork() ms', 'min - max', 'ratio'];

function format({ settings: { rounds, forks }, opponents }) {
  const rows = opponents.map(({ name, megabytes, time }) => [
    name,
    formatNumber(megabytes),
    formatMedian(time, 2),
    formatRange(time, 2),
    formatRatio(time),
  ]);
  const remarks = opponents.flatMap(({ name, megabytes, rounds: all }) => {
    const where = `${name}, ${megabytes} MB`;
    return [...describeFailures(where, all), ...describeDisturbance(where, all)];
  });
  return [
    `Rounds: ${rounds} of ${forks} forks each, one after the other; medians of the rounds' medians`,
    'Ratios to node:cluster with the same memory held',
    '',
    formatTable(HEADER, rows) + remarks.map((line) => `${line}\n`).join(''),
  ].join('\n');
}

function figures({ opponents }) {
  return [SMALL, LARGE].map((megabytes) => ({
    label: megabytes === SMALL ? 'fork(), small heap' : `fork(), ${megabytes / 1024} GB held`,
    unit: 'ms',
    digits: 2,
    better: 'less',
    values: opponents
      .filter((opponent) => opponent.megabytes === megabytes)
      .map(({ name, time }) => ({ name: name === BUILTIN ? BASELINE : name, ...time })),
  }));
}

module.exports = {
  summary: 'how long fork() takes, with a small and a large heap',
  figures,
  format,
  run,
};
