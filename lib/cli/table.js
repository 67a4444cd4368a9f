'use strict';

const { printable } = require('./style.js');

const GAP = 2;

/**
 * A table as lines of text. Columns that the terminal has no room for are left out, the least important first.
 *
 * @param {object[]} columns `{ title, of(row), isNumber, rank, paint(text, row) }`: those with the largest `rank` are
 *   left out first; a column without one never is
 * @param {object[]} rows
 * @param {number} width of the terminal
 */
function table(columns, rows, width) {
  const cells = new Map(
    columns.map((column) => [column, rows.map((row) => printable(column.of(row)))]),
  );
  const widthOf = (column) =>
    Math.max(column.title.length, ...cells.get(column).map((it) => [...it].length));
  const shown = fit(columns, widthOf, width);
  const line = (textOf) =>
    shown
      .map((column, index) => {
        const text = textOf(column);
        const pad = ' '.repeat(widthOf(column) - [...text.plain].length);
        const isLast = index === shown.length - 1;
        return column.isNumber ? pad + text.painted : text.painted + (isLast ? '' : pad);
      })
      .join(' '.repeat(GAP));
  const header = line(({ title }) => ({ plain: title, painted: title }));
  const body = rows.map((row, index) =>
    line((column) => {
      const plain = cells.get(column)[index];
      return { plain, painted: column.paint?.(plain, row) ?? plain };
    }),
  );
  return [header, ...body];
}

function fit(columns, widthOf, width) {
  let shown = columns;
  const total = () => shown.reduce((sum, it) => sum + widthOf(it) + GAP, -GAP);
  while (total() > width) {
    const optional = shown.filter(({ rank }) => rank !== undefined);
    if (optional.length === 0) break;
    const least = optional.reduce((a, b) => (b.rank >= a.rank ? b : a));
    shown = shown.filter((it) => it !== least);
  }
  return shown;
}

module.exports = table;
