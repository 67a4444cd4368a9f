'use strict';

// Draws figures against sizes: a column of panels for each thing that grows, a row for each figure. All panels
// of a row have one scale, so that a steep line in one is a steep line in all.

const { FONT, TEXT, renderSvg } = require('./svg.js');
const { formatNumber } = require('./table.js');

const WIDTH = 900;
const PADDING = 8;
const LEGEND_HEIGHT = 26;
const TITLE_HEIGHT = 40;
const PANEL_HEIGHT = 110;
const AXIS_HEIGHT = 34;
const LABELS_WIDTH = 44;
const ROOM_FOR_LABELS = 40;

const LINE = '#7a828e40';
const COLORS = ['#d9730d', '#6b8fb8', '#7a9e7e'];
const STYLE = { color: TEXT, fontSize: 11, fontFamily: FONT };

/** Whether the figures of a result are drawn by `drawSizes`. */
function isAboutSizes({ figures }) {
  return figures.length > 0 && figures.every(({ grows }) => grows !== undefined);
}

function unique(list) {
  return [...new Set(list)];
}

/** The size and the median of one opponent in each figure that has it. */
function pointsOf(figures, name) {
  return figures.flatMap(({ grows, values }) => {
    const value = values.find((it) => it.name === name);
    return value ? [[grows.size, value.median]] : [];
  });
}

function drawSeries(figures, name, index, digits) {
  return {
    type: 'line',
    name,
    silent: true,
    symbol: 'circle',
    symbolSize: 6,
    xAxisIndex: index,
    yAxisIndex: index,
    data: pointsOf(figures, name),
    endLabel: {
      show: true,
      formatter: ({ value }) => formatNumber(value[1], digits),
      ...STYLE,
    },
  };
}

function drawPanel(figures, { left, top, width, height, index, max, names, title }) {
  const [{ unit, digits, grows }] = figures;
  const sizes = figures.map((figure) => figure.grows.size);
  return {
    title: {
      text: title,
      subtext: `${unit}, by ${grows.what}`,
      left,
      top,
      padding: 0,
      itemGap: 2,
      textStyle: { ...STYLE, fontSize: 13 },
      subtextStyle: STYLE,
    },
    grid: { left: left + LABELS_WIDTH, top: top + TITLE_HEIGHT, width, height },
    xAxis: {
      gridIndex: index,
      type: 'log',
      min: Math.min(...sizes),
      max: Math.max(...sizes),
      axisLine: { lineStyle: { color: LINE } },
      axisTick: { customValues: sizes, lineStyle: { color: LINE } },
      axisLabel: { customValues: sizes, formatter: (size) => formatNumber(size), ...STYLE },
      splitLine: { show: false },
    },
    yAxis: {
      gridIndex: index,
      type: 'value',
      min: 0,
      max,
      splitNumber: 3,
      axisLabel: { showMaxLabel: true, ...STYLE },
      splitLine: { lineStyle: { color: LINE } },
    },
    series: names.map((name) => drawSeries(figures, name, index, digits)),
  };
}

/** A round number that is not less than any of the values. */
function scaleOf(figures) {
  const highest = Math.max(...figures.flatMap(({ values }) => values.map((it) => it.median)));
  const power = 10 ** Math.floor(Math.log10(highest || 1));
  const factor = [1, 1.5, 2, 3, 4, 6, 9, 10].find((it) => it * power >= highest);
  return Number((factor * power).toPrecision(2));
}

function layOut(figures) {
  const columns = unique(figures.map(({ grows }) => grows.what));
  const rows = unique(figures.map(({ grows }) => grows.figure));
  const names = unique(figures.flatMap(({ values }) => values.map(({ name }) => name)));
  const columnWidth = (WIDTH - PADDING) / columns.length;
  const rowHeight = TITLE_HEIGHT + PANEL_HEIGHT + AXIS_HEIGHT;
  const panels = rows.flatMap((figure, row) => {
    const ofRow = figures.filter(({ grows }) => grows.figure === figure);
    return columns.map((what, column) =>
      drawPanel(
        ofRow.filter(({ grows }) => grows.what === what),
        {
          left: PADDING + column * columnWidth,
          top: PADDING + LEGEND_HEIGHT + row * rowHeight,
          width: columnWidth - LABELS_WIDTH - ROOM_FOR_LABELS - PADDING,
          height: PANEL_HEIGHT,
          index: row * columns.length + column,
          max: scaleOf(ofRow),
          names,
          title: figure,
        },
      ),
    );
  });
  return { panels, names, height: 2 * PADDING + LEGEND_HEIGHT + rows.length * rowHeight };
}

/** Returns an SVG, which is always the same for the same figures. */
function drawSizes({ figures }) {
  const { panels, names, height } = layOut(figures);
  const part = (key) => panels.flatMap((panel) => panel[key]);
  const options = {
    color: COLORS,
    legend: { data: names, left: PADDING, top: PADDING, padding: 0, textStyle: STYLE },
    title: part('title'),
    grid: part('grid'),
    xAxis: part('xAxis'),
    yAxis: part('yAxis'),
    series: part('series'),
  };
  return renderSvg(options, { width: WIDTH, height });
}

module.exports = { drawSizes, isAboutSizes };
