'use strict';

// The common parts of scenarios that load servers: their cases, rounds, tables and figures.

const { selectCases } = require('./cases.js');
const { sparingGuests } = require('./guests.js');
const { buildLoad } = require('./load.js');
const { BASELINE, findOpponents } = require('./opponents.js');
const { interleave } = require('./rounds.js');
const { startServer } = require('./server.js');
const { compare } = require('./statistics.js');
const { formatNumber, formatRange, formatRatio, formatTable } = require('./table.js');

async function measureServer(opponent, settings, measure) {
  const server = await startServer(opponent, settings);
  const measured = measure(server);
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
  const remarks = measured.failure ? [measured.failure] : measured.failures;
  const result = measured.failure ? '-' : figure;
  const remark = remarks.length > 0 ? `  ! ${remarks.join(', ')}` : '';
  const where = `round ${round}/${rounds}  ${it.name.padEnd(18)}${opponent.name.padEnd(26)}`;
  process.stderr.write(`${where}${result}${remark}\n`);
}

function summarizeOpponent({ name, rounds }, baseline, columns) {
  const compareRounds = ({ key }) => {
    const valuesOf = (it) => it.map((round) => round[key] ?? null);
    return [key, compare(valuesOf(rounds), valuesOf(baseline.rounds))];
  };
  return {
    name,
    ...Object.fromEntries(columns.map(compareRounds)),
    failure: rounds.find(({ failure }) => failure)?.failure,
    rounds,
  };
}

async function runCase(it, opponents, { rounds, ...options }, { columns, measure }) {
  const measureOne = sparingGuests(async (opponent) =>
    measureServer(opponent, it.server, (server) => measure(server, it.server, options)),
  );
  const results = await interleave(opponents, rounds, async (opponent, round) => {
    const measured = await measureOne(opponent, round);
    logRound(opponent, round, rounds, it, columns, measured);
    return measured;
  });
  const baseline = results.find(({ name }) => name === BASELINE);
  const summaries = results.map((opponent) => summarizeOpponent(opponent, baseline, columns));
  return { ...it, opponents: summaries };
}

function countBadRounds({ failure, rounds }) {
  if (failure) return '-';
  const bad = rounds.filter(({ failures }) => failures.length > 0).length;
  return bad > 0 ? `${bad} of ${rounds.length}` : '0';
}

function formatCells(opponent, { key, digits, hasRange, hasRatio = true }) {
  const value = opponent[key];
  return [
    formatNumber(value.median, digits),
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

function headerOf({ title, hasRange, hasRatio = true }) {
  return [title, ...(hasRange ? ['min - max'] : []), ...(hasRatio ? ['ratio'] : [])];
}

function formatFailures({ name: caseName, opponents }) {
  return opponents.flatMap(({ name, failure, rounds }) => {
    if (failure) return [`! ${caseName}, ${failure}`];
    return rounds.flatMap(({ failures }, index) =>
      failures.length ? [`! ${caseName}, ${name}, round ${index + 1}: ${failures.join(', ')}`] : [],
    );
  });
}

function format({ settings, skipped, cases }, { columns, describe }) {
  const { rounds, seconds } = settings;
  const heading = [
    `Rounds: ${rounds} of ${seconds} s each; ${describe(settings)}`,
    `Medians; ratios to ${BASELINE}`,
  ];
  const header = ['case', 'opponent', ...columns.flatMap(headerOf), 'bad rounds'];
  const table = formatTable(
    header,
    cases.flatMap((it) => formatRows(it, columns)),
    2,
  );
  const remarks = [...cases.flatMap(formatFailures), ...skipped].map((line) => `${line}\n`);
  return `${heading.join('\n')}\n\n${table}${remarks.join('')}`;
}

function figuresOf({ cases }, columns) {
  const charted = columns.filter(({ better }) => better);
  return cases.flatMap((it) =>
    charted.map(({ key, unit, label, digits, better }) => ({
      label: label ? `${it.title}, ${label}` : it.title,
      unit,
      digits,
      better,
      values: it.opponents.map(({ name, [key]: value }) => ({ name, ...value })),
    })),
  );
}

/**
 * Makes a scenario that loads servers, one case after the other.
 *
 * @param {object} scenario with `summary` and `defaults` like every scenario, and
 *   `casesOf(options)`, each with its `name`, a `title` for figures, and the settings of its `server`;
 *   `measure(server, settings, options)`, which resolves to the values of the columns, and `failures`;
 *   `columns`, each with a `key`, the `title` in the table, its `unit`, and, if it is a figure of the
 *   report, which is `better`, 'more' or 'less', and a `label`;
 *   `describe(settings)`, which returns the text above the table; `prepare(options, cases)`
 */
function serverScenario({ summary, defaults, casesOf, prepare, ...own }) {
  const run = async (options) => {
    const { rounds, seconds, rate, only } = options;
    const cases = selectCases(casesOf(options), only);
    await prepare?.(options, cases);
    await buildLoad();
    const { opponents, skipped } = await findOpponents(options);
    const results = [];
    for (const it of cases) results.push(await runCase(it, opponents, options, own));
    return { settings: { rounds, seconds, rate }, skipped, cases: results };
  };
  return {
    summary,
    defaults,
    run,
    format: (result) => format(result, own),
    figures: (result) => figuresOf(result, own.columns),
  };
}

module.exports = { serverScenario };
