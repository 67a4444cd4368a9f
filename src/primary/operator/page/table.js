'use strict';

/**
 * A table whose rows stay the same elements from poll to poll, so that nothing jumps and a screen reader
 * keeps its place.
 */
class Table {
  #columns;
  #key;
  #body = element('tbody', { role: 'rowgroup' });
  #rows = new Map();
  #nothing;

  /**
   * @param {HTMLTableElement} table
   * @param {object[]} columns `label`, `title`; `text(row)`, or `make()` and `fill(cell, row)`; `numeric`
   * @param {{ key: (row: object) => unknown, nothing: string }} how
   */
  constructor(table, columns, { key, nothing }) {
    this.#columns = columns;
    this.#key = key;
    const heads = columns.map((column) => {
      const head = element('th', { scope: 'col', role: 'columnheader' }, column.label);
      if (column.numeric) head.className = 'numeric';
      if (column.title) head.title = column.title;
      return head;
    });
    const head = element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads));
    const cell = element('td', { colspan: columns.length, role: 'cell' }, nothing);
    this.#nothing = element('tr', { class: 'nothing', role: 'row' }, cell);
    this.#body.append(this.#nothing);
    table.setAttribute('role', 'table');
    table.append(head, this.#body);
  }

  /** @returns the element of a row */
  row(key) {
    return this.#rows.get(key);
  }

  update(rows) {
    const keys = new Set(rows.map(this.#key));
    for (const [key, row] of this.#rows) {
      if (!keys.has(key)) {
        row.remove();
        this.#rows.delete(key);
      }
    }
    this.#nothing.hidden = rows.length > 0;
    rows.forEach((row, index) => {
      this.#fill(this.#rowAt(this.#key(row), index), row);
    });
  }

  #rowAt(key, index) {
    let row = this.#rows.get(key);
    if (!row) {
      row = element('tr', { role: 'row' }, ...this.#columns.map(makeCell));
      this.#rows.set(key, row);
    }
    // The first row is the one that says that there is nothing.
    const place = this.#body.children[index + 1] ?? null;
    if (place !== row) this.#body.insertBefore(row, place);
    return row;
  }

  #fill(element, row) {
    this.#columns.forEach((column, index) => {
      const cell = element.children[index];
      if (column.fill) column.fill(cell, row);
      else fillText(cell, column.text(row));
      if (column.isMarked) cell.classList.toggle('marked', column.isMarked(row));
    });
  }
}

function makeCell(column, index) {
  const [name, role] = index === 0 ? ['th', 'rowheader'] : ['td', 'cell'];
  const cell = element(name, { role, 'data-label': column.label, ...column.attributes });
  if (index === 0) cell.scope = 'row';
  cell.classList.add(...(column.class ?? []), ...(column.numeric ? ['numeric'] : []));
  cell.append(...(column.make?.() ?? []));
  return cell;
}

/** Zeros step back, so that the other numbers stand out. */
function fillText(cell, text) {
  setText(cell, text);
  if (cell.tagName === 'TD') cell.classList.toggle('quiet', text === '0' || text === UNKNOWN);
}
