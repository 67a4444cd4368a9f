'use strict';

// The results for readers: a table and pictures in the README.

const fs = require('node:fs');
const path = require('node:path');
const { drawChart } = require('./chart.js');
const { BASELINE } = require('./opponents.js');
const { readResults } = require('./results.js');
const { formatMarkdownTable, formatNumber } = require('./table.js');
const { UserError } = require('../../tools/user-error.js');

const ROOT = path.join(__dirname, '..', '..');
const README = path.join(ROOT, 'README.md');
const CHARTS = path.join(ROOT, 'bench', 'charts');
const BEGIN = '<!-- bench -->\n';
const END = '<!-- /bench -->';

function namesOf(results) {
  const values = results.flatMap(({ figures }) => figures.flatMap((figure) => figure.values));
  return [...new Set(values.map(({ name }) => name))];
}

function formatCell(value, digits) {
  if (value?.median === undefined) return '-';
  const figure = formatNumber(value.median, digits);
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
  return [
    `${[...new Set(machines)].join('; ')}; the load generator runs on the same machine. Medians of`,
    `${describeRounds(results)} interleaved rounds; in parentheses, times \`${BASELINE}\` in the same`,
    'round.',
  ].join('\n');
}

function chartOf(name) {
  return `![${name}: the figures of the table as bars](bench/charts/${name}.svg)\n`;
}

function formatReport(results) {
  const pictures = results.map(({ name }) => chartOf(name)).join('\n');
  const folded = `<details><summary>As charts</summary>\n\n${pictures}\n</details>\n`;
  return [describe(results), '', formatFigures(results), folded].join('\n');
}

function replaceBetweenMarkers(text, replacement) {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) {
    throw new UserError(`README.md has no ${BEGIN.trim()} … ${END} to write the table between.`);
  }
  return `${text.slice(0, begin + BEGIN.length)}\n${replacement}\n${text.slice(end)}`;
}

function writeReport() {
  const results = readResults();
  if (results.length === 0) throw new UserError('Nothing is measured yet: npm run bench');
  const readme = replaceBetweenMarkers(fs.readFileSync(README, 'utf8'), formatReport(results));
  fs.mkdirSync(CHARTS, { recursive: true });
  for (const result of results) {
    fs.writeFileSync(path.join(CHARTS, `${result.name}.svg`), drawChart(result));
  }
  fs.writeFileSync(README, readme);
}

module.exports = { writeReport };
