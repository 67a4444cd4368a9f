'use strict';

// Writes the results for readers: a few into the README, all into docs/benchmarks.md.

const fs = require('node:fs');
const path = require('node:path');
const { drawChart } = require('./chart.js');
const { FOOTNOTE } = require('./disturbance.js');
const { BASELINE } = require('./opponents.js');
const { readResults } = require('./results.js');
const { drawSizes, isAboutSizes } = require('./size-chart.js');
const { formatMarkdownTable, formatMedian, formatNumber } = require('./table.js');
const { UserError } = require('../../tools/user-error.js');

const ROOT = path.join(__dirname, '..', '..');
const README = path.join(ROOT, 'README.md');
const ALL = path.join(ROOT, 'docs', 'benchmarks.md');
const CHARTS = path.join(ROOT, 'bench', 'charts');
const BEGIN = '<!-- bench -->\n';
const END = '<!-- /bench -->';

// The README shows where the engine is faster, and where it is the same or slower.
const SUMMARY = [
  'HTTP, 2 workers',
  'HTTP, 2 workers, CPU of the primary',
  'HTTP, 8 workers',
  'HTTP, 1000/s, 2 workers, p50',
  'HTTP, 1000/s, 2 workers, p99',
  'HTTP, half of saturation, 2 workers, p99',
  'HTTP, one of 3 workers stalls, p99.9',
  'HTTP, one of 3 workers stalls, longest',
  'HTTP, 2 workers, primary blocked',
  'HTTP keep-alive, 2 workers',
  'fork(), 2 GB held',
  'messages of 64 B, many in flight',
  'broadcasts of 64 B',
];
const SUMMARY_CHART = [
  'HTTP, 2 workers',
  'HTTP, 2 workers, CPU of the primary',
  'HTTP, one of 3 workers stalls, longest',
  'fork(), 2 GB held',
];
const SUMMARY_NAMES = ['rs-cluster', 'node:cluster round-robin'];

// Scenarios whose opponents are not those of the others: each has a table of its own.
const APART = ['drain', 'reload', 'upgrade', 'operators', 'calls', 'scale'];

function namesOf(results) {
  const values = results.flatMap(({ figures }) => figures.flatMap((figure) => figure.values));
  return [...new Set(values.map(({ name }) => name))];
}

function formatCell(value, digits) {
  if (value?.median === undefined) return '-';
  const figure = formatMedian(value, digits);
  return value.ratio && value.name !== BASELINE
    ? `${figure} (${formatNumber(value.ratio.median, 2)}x)`
    : figure;
}

function formatFigures(results) {
  const names = namesOf(results);
  const rows = results.flatMap(({ figures }) =>
    figures.map(({ label, unit, digits, values }) => [
      `${label}: ${unit}`,
      ...names.map((name) =>
        formatCell(
          values.find((value) => value.name === name),
          digits,
        ),
      ),
    ]),
  );
  return formatMarkdownTable(['', ...names], rows);
}

/** The figures of the summary, only for the engine and the baseline. */
function summarize(results) {
  const figures = results.flatMap((result) => result.figures);
  const chosen = SUMMARY.flatMap((wanted) => figures.filter(({ label }) => label === wanted));
  const ofTwo = (values) => values.filter(({ name }) => SUMMARY_NAMES.includes(name));
  return chosen.map((figure) => ({ ...figure, values: ofTwo(figure.values) }));
}

function describeRounds(results) {
  const counts = results.map(({ rounds }) => rounds);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? String(least) : `${least} to ${most}`;
}

function describe(results) {
  const machines = results.map(
    ({ environment: { nodeVersion, kernel, cores } }) =>
      `Node ${nodeVersion}, ${kernel}, ${cores} cores`,
  );
  const rounds = results.some(({ isQuick }) => isQuick) ? 'short interleaved' : 'interleaved';
  return [
    `${[...new Set(machines)].join('; ')}; the load generator runs on the same machine. Medians of`,
    `${describeRounds(results)} ${rounds} rounds; in parentheses, times \`${BASELINE}\` in the same`,
    'round.',
  ].join('\n');
}

/** What readers have to know of figures that are doubtful or missing. */
function remarksOf(results) {
  const values = results.flatMap(({ figures }) => figures.flatMap((figure) => figure.values));
  const isDisturbed = values.some(({ median, disturbed }) => disturbed && median !== undefined);
  const say = (what, key) =>
    results.flatMap(({ name, [key]: names = [] }) =>
      names.length > 0 ? [`${what} \`${name}\`: ${names.join(', ')}.`] : [],
    );
  const missing = [...say('Left out of', 'absent'), ...say('Failed in', 'failed')];
  const notes = results.flatMap(({ notes: lines = [] }) => lines.map((line) => `${line}.`));
  return [...(isDisturbed ? [FOOTNOTE] : []), ...missing, ...notes].flatMap((line) => [line, '']);
}

function chartOf(result) {
  const { name } = result;
  const drawing = isAboutSizes(result) ? 'drawn against the sizes' : 'as bars';
  return `![${name}: the figures of the table ${drawing}](../bench/charts/${name}.svg)\n`;
}

function formatReport(results) {
  const pictures = results.map(chartOf).join('\n');
  const isApart = ({ name }) => APART.includes(name);
  const together = results.filter((result) => !isApart(result));
  const groups = [together, ...results.filter(isApart).map((result) => [result])];
  const tables = groups.filter((group) => group.length > 0).map(formatFigures);
  return [describe(results), '', tables.join('\n'), ...remarksOf(results), pictures].join('\n');
}

function formatSummary(results, figures) {
  const picture = `![${SUMMARY_CHART.length} figures of the table as bars](bench/charts/summary.svg)`;
  const table = formatFigures([{ figures }]);
  return [picture, '', table, ...remarksOf([{ figures }]), describe(results), ''].join('\n');
}

function replaceBetweenMarkers(file, replacement) {
  const text = fs.readFileSync(file, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) {
    const name = path.relative(ROOT, file);
    throw new UserError(`${name} has no ${BEGIN.trim()} … ${END} to write the table between.`);
  }
  return `${text.slice(0, begin + BEGIN.length)}\n${replacement}\n${text.slice(end)}`;
}

function writeReport() {
  const results = readResults();
  if (results.length === 0) throw new UserError('Nothing is measured yet: npm run bench');
  const summary = summarize(results);
  const readme = replaceBetweenMarkers(README, formatSummary(results, summary));
  const all = replaceBetweenMarkers(ALL, formatReport(results));
  const drawn = summary.filter(({ label }) => SUMMARY_CHART.includes(label));
  fs.mkdirSync(CHARTS, { recursive: true });
  for (const result of [...results, { name: 'summary', figures: drawn }]) {
    const draw = isAboutSizes(result) ? drawSizes : drawChart;
    fs.writeFileSync(path.join(CHARTS, `${result.name}.svg`), draw(result));
  }
  fs.writeFileSync(README, readme);
  fs.writeFileSync(ALL, all);
}

module.exports = { writeReport };
