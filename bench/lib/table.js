'use strict';

/** Rows of strings as aligned text: the first column to the left, the others to the right. */
function formatTable(header, rows) {
  const lines = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const format = (line) => line.map((cell, column) => align(cell, column, widths)).join('  ');
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return `${[format(header), rule, ...rows.map(format)].join('\n')}\n`;
}

function align(cell, column, widths) {
  return column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
}

function formatNumber(value, digits = 0) {
  if (value === null || value === undefined) return '-';
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString('en-US', options);
}

module.exports = { formatNumber, formatTable };
