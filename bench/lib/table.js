'use strict';

const { MARK } = require('./disturbance.js');

/** Formats rows of strings as aligned text: the first columns to the left, the others to the right. */
function formatTable(header, rows, firstColumns = 1) {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const align = (cell, column) =>
    column < firstColumns ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  const format = (line) => line.map(align).join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return `${[format(header), rule, ...rows.map(format)].join('\n')}\n`;
}

/** Formats rows as Markdown whose source is readable too. */
function formatMarkdownTable(header, rows) {
  const lines = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(3, ...lines.map((line) => line[column].length)),
  );
  const align = (cell, column) =>
    column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]);
  const format = (line) => `| ${line.map(align).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return `${[format(header), `| ${rule.join(' | ')} |`, ...rows.map(format)].join('\n')}\n`;
}

function formatNumber(value, digits = 0) {
  if (value === null || value === undefined) return '-';
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString('en-US', options);
}

/** The median, marked if it was disturbed. */
function formatMedian({ median, disturbed }, digits) {
  const text = formatNumber(median, digits);
  return disturbed && median !== undefined ? `${text}${MARK}` : text;
}

function formatRange({ min, max }, digits) {
  return min === undefined ? '-' : `${formatNumber(min, digits)} - ${formatNumber(max, digits)}`;
}

function formatRatio({ ratio }) {
  return ratio ? `${formatNumber(ratio.median, 2)}x` : '-';
}

module.exports = {
  formatMarkdownTable,
  formatMedian,
  formatNumber,
  formatRange,
  formatRatio,
  formatTable,
};
