'use strict';

// What the pictures of the bench have in common: how they are drawn, and what their text looks like.

const echarts = require('echarts');

/** A color that is readable on white as well as on black. */
const TEXT = '#7a828e';
const FONT = 'system-ui, sans-serif';

/** The numbers of names continue through the process, so they would depend on how many pictures came before. */
function renumber(svg) {
  const classes = [...new Set(svg.match(/\bcls-\d+\b/g))];
  const withoutIds = svg.replace(/\bzr\d+-/g, '');
  return withoutIds.replace(/\bcls-\d+\b/g, (name) => `cls-${classes.indexOf(name)}`);
}

/** Returns an SVG of a chart, which is always the same for the same options of ECharts. */
function renderSvg(options, { width, height }) {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, ...options });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${renumber(svg)}\n`;
}

module.exports = { FONT, TEXT, renderSvg };
