'use strict';

// The common parts of scenarios that load servers: their cases, rounds, tables and figures.

const { selectCases } = require('./cases.js');
const { describeDisturbance, watchOthers } = require('./disturbance.js');
const { describeFailures } = require('./failing.js');
const { buildLoad } = require('./load.js');
const { BASELINE, findOpponents } = require('./opponents.js');
const { interleave } = require('./rounds.js');
const { startServer } = require('./server.js');
const { compareRounds } = require('./statistics.js');
const { formatMedian, formatNumber, formatRange, formatRatio, formatTable } = require('./table.js');

async function measureServer(opponent, settings, measure) {
  const server = await startServer(opponent, settings);
  const measured = watchOthers(() => measure(server));
  try {
    return await Promise.race([measured, server.ended]);
  } finally {
    await server.stop();
    // The measurement must have ended too, so that it does not disturb the next one.
    await measured.catch(() => {});
  }
}

function logRound(opponent, round, rounds, it, [first], measured) {
  const figure = `${formatNumber(measured[first.key], first.digits)} ${first.unit}`;
  const others = measured.disturbed ? [`others used ${measured.otherLoad?.toFixed(2)}`] : [];
  const remarks = [...measured.failures, ...others];
  const remark = remarks.length > 0 ? `  ! ${remarks.join(', ')}` : '';
  const where = `round ${round}/${rounds}  ${it.name.padEnd(18)} ${opponent.name.padEnd(26)}`;
  process.stderr.write(`${where}${figure}${remark}\n`);
}

/** Compares the columns with the baseline, or with the opponent that a column names. */
function summarizeOpponent({ name, rounds }, results, columns) {
  const roundsOf = (wanted) => results.find((it) => it.name === wanted)?.rounds;
  const compareColumn = ({ key, of = key, to = BASELINE }) => [
    key,
    compareRounds(rounds, roundsOf(to), of),
  ];
  return { name, ...Object.fromEntries(columns.map(compareColumn)), rounds };
}

async function runCase(it, opponents, { rounds, ...options }, { columns, measure }) {
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await measureServer(opponent, it.server, (server) =>
      measure(server, it.server, { ...options, ...it.options }),
    );
    logRound(opponent, round, rounds, it, columns, measured);
    return measured;
  });
  return {
    ...it,
    opponents: results.map((opponent) => summarizeOpponent(opponent, results, columns)),
  };
}

function countBadRounds({ rounds }) {
  const bad = rounds.filter(({ failure, failures }) => failure || failures.length > 0).length;
  return bad > 0 ? `${bad} of ${rounds.length}` : '0';
}

function formatCells(opponent, { key, digits, hasRange, hasRatio = true, isRatio = false }) {
  const value = opponent[key];
  if (isRatio) return [formatRatio(value)];
  return [
    formatMedian(value, digits),
    ...(hasRange ? [formatRange(value, digits)] : []),
    ...(hasRatio ? [formatRatio(value)] : []),
  ];
}

function formatRows({ name, opponents }, columns) {
  return opponents.map((opponent, index) => [
    index === 0 ? name : '',
    opponent.name,
    ...columns.flatMap((column) => formatCells(opponent, column)),
    countBadRounds(opponent),
  ]);
}

function headerOf({ title, hasRange, hasRatio = true, isRatio = false }) {
  if (isRatio) return [title];
  return [title, ...(hasRange ? ['min - max'] : []), ...(hasRatio ? ['ratio'] : [])];
}

function describeRounds({ name: caseName, opponents }) {
  return opponents.flatMap(({ name, rounds }) => {
    const where = `${caseName}, ${name}`;
    const bad = rounds.flatMap(({ failures = [] }, index) =>
      failures.length > 0 ? [`! ${where}, round ${index + 1}: ${failures.join(', ')}`] : [],
    );
    return [...bad, ...describeFailures(where, rounds), ...describeDisturbance(where, rounds)];
  });
}

function format({ settings, skipped, cases }, { columns, describe }) {
  const { rounds, seconds } = settings;
  const heading = [
    `Rounds: ${rounds} of ${seconds} s each; ${describe(settings, cases)}`,
    `Medians; ratios to ${BASELINE}`,
  ];
  const header = ['case', 'opponent', ...columns.flatMap(headerOf), 'bad rounds'];
  const table = formatTable(
    header,
    cases.flatMap((it) => formatRows(it, columns)),
    2,
  );
  const remarks = [...cases.flatMap(describeRounds), ...skipped].map((line) => `${line}\n`);
  return `${heading.join('\n')}\n\n${table}${remarks.join('')}`;
}

/** The median of a ratio is a figure of its own. */
function reportedValue({ name, value: { ratio, disturbed, ...value } }, isRatio) {
  return isRatio ? { name, ...ratio, disturbed } : { name, ...value, ratio, disturbed };
}

function figuresOf({ cases }, columns) {
  const reported = columns.filter(({ better }) => better);
  const figures = cases.flatMap((it) =>
    reported.map(({ key, unit, label, digits, better, isRatio, isDrawn }) => ({
      label: label ? `${it.title}, ${label}` : it.title,
      unit,
      digits,
      better,
      isDrawn,
      values: it.opponents.map(({ name, [key]: value }) => reportedValue({ name, value }, isRatio)),
    })),
  );
  return figures.filter(({ values }) => values.some(({ median }) => median !== undefined));
}

/**
 * Makes a scenario that loads servers, one case after the other.
 *
 * @param {object} scenario with `summary`, `defaults` and `quick` like every scenario, and
 *   `casesOf(options)`, each with its `name`, a `title` for figures, and the settings of its `server`;
 *   `measure(server, settings, options)`, which resolves to the values of the columns, and `failures`;
 *   `columns`, each with a `key`, the `title` in the table, its `unit`, and, if it is a figure of the
 *   report, which is `better`, 'more' or 'less', a `label`, and `isDrawn: false` if it has no picture; one with
 *   `isRatio` is the ratio of the column `of` to the same of the opponent `to`;
 *   `describe(settings, cases)`, which returns the text above the table; `prepare(options, cases)`, which may
 *   complete the cases: the `options` of a case replace those of the run; `notes(result)`, which returns lines that
 *   the report needs besides the figures
 */
function serverScenario({ summary, defaults, quick, casesOf, prepare, notes, ...own }) {
  const run = async (options) => {
    const { rounds, seconds, rate, only } = options;
    const cases = selectCases(casesOf(options), only);
    await buildLoad();
    const { opponents, skipped } = await findOpponents(options);
    await prepare?.(options, cases, opponents);
    const results = [];
    for (const it of cases) results.push(await runCase(it, opponents, options, own));
    return { settings: { rounds, seconds, rate }, skipped, cases: results };
  };
  return {
    summary,
    defaults,
    quick,
    notes,
    run,
    format: (result) => format(result, own),
    figures: (result) => figuresOf(result, own.columns),
  };
}

module.exports = { serverScenario };
