'use strict';

// How long fork() keeps the primary's JavaScript from anything else, with a small heap and with
// 2 GB resident.

const path = require('node:path');
const { withDeadline } = require('../lib/deadline.js');
const { describeEnd, firstJsonLine, keepTail } = require('../../tools/output.js');
const { startProcess } = require('../../tools/processes.js');
const { interleave } = require('../lib/rounds.js');
const { median, ratios, summarize } = require('../lib/statistics.js');
const { formatNumber, formatTable } = require('../lib/table.js');
const { UserError } = require('../../tools/user-error.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'fork.js');
const ROOT = path.join(__dirname, '..', '..');
const FORKS_A_ROUND = 10;
const ROUND_LIMIT_MS = 60_000;
const SMALL = 0;
const LARGE = 2048;

const OPPONENTS = [SMALL, LARGE].flatMap((megabytes) => [
  { name: 'rs-cluster', implementation: ROOT, megabytes },
  { name: 'node:cluster', implementation: 'node:cluster', megabytes },
]);

async function measureRound({ name, implementation, megabytes }, node) {
  const args = [PROGRAM, implementation, String(megabytes), String(FORKS_A_ROUND)];
  const child = startProcess(node, args, { stdio: 'pipe' });
  const stderr = keepTail(child.stderr);
  const failed = new Promise((_resolve, reject) => {
    child.once('error', (error) => reject(new UserError(`${name}: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code !== 0) reject(new UserError(`${name}: ${describeEnd(code, signal, stderr())}`));
    });
  });
  const { times } = await withDeadline(
    Promise.race([firstJsonLine(child.stdout), failed]),
    ROUND_LIMIT_MS,
    () => `${name} did not fork ${FORKS_A_ROUND} times in ${ROUND_LIMIT_MS} ms`,
  );
  return { times, median: median(times) };
}

async function run({ rounds, node }) {
  const results = await interleave(OPPONENTS, rounds, async (opponent, round) => {
    const measured = await measureRound(opponent, node);
    const { name, megabytes } = opponent;
    const time = `${formatNumber(measured.median, 2)} ms`;
    process.stderr.write(`round ${round}/${rounds}  ${name.padEnd(14)}${megabytes} MB  ${time}\n`);
    return measured;
  });
  const medians = ({ rounds: measured }) => measured.map((round) => round.median);
  return {
    settings: { rounds, forks: FORKS_A_ROUND },
    opponents: results.map((opponent) => {
      const { name, megabytes } = opponent;
      const baseline = results.find((it) => it.name !== 'rs-cluster' && it.megabytes === megabytes);
      const ratio = summarize(ratios(medians(opponent), medians(baseline)));
      return { name, megabytes, time: { ...summarize(medians(opponent)), ratio } };
    }),
  };
}

const HEADER = ['opponent', 'held MB', 'fork() ms', 'min - max', 'ratio'];

function format({ settings: { rounds, forks }, opponents }) {
  const rows = opponents.map(({ name, megabytes, time }) => [
    name,
    formatNumber(megabytes),
    formatNumber(time.median, 2),
    `${formatNumber(time.min, 2)} - ${formatNumber(time.max, 2)}`,
    `${formatNumber(time.ratio.median, 2)}x`,
  ]);
  return [
    `Rounds: ${rounds} of ${forks} forks each, one after the other; medians of the rounds' medians`,
    'Ratios to node:cluster with the same memory held',
    '',
    formatTable(HEADER, rows),
  ].join('\n');
}

module.exports = { summary: 'how long fork() takes, with a small and a large heap', format, run };
