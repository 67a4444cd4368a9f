'use strict';

const test = require('ava');
const { drawSizes, isAboutSizes } = require('../../bench/lib/size-chart');

/** A figure of two opponents, the second of which has it only where something is small. */
function figureOf(size) {
  const values = [{ name: 'rs-cluster', median: 10 + size / 1000 }];
  if (size < 100) values.push({ name: 'node:cluster', median: 2 * size });
  return {
    label: `${size} workers`,
    unit: 'MB',
    digits: 1,
    better: 'less',
    grows: { what: 'workers', size, figure: 'memory' },
    values,
  };
}

const figures = [2, 64, 256].map(figureOf);

test('figures are drawn against their sizes, each opponent as far as it has some', (t) => {
  const svg = drawSizes({ figures });
  for (const text of ['memory', 'MB, by workers', '>64<', '>256<', '>10.3<', '>128.0<']) {
    t.true(svg.includes(text), text);
  }
});

test('the same figures always give the same file', (t) => {
  t.is(drawSizes({ figures }), drawSizes({ figures }));
});

test('figures without sizes are drawn otherwise', (t) => {
  t.true(isAboutSizes({ figures }));
  t.false(isAboutSizes({ figures: [...figures, { ...figures[0], grows: undefined }] }));
  t.false(isAboutSizes({ figures: [] }));
});
