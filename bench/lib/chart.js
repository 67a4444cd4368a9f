'use strict';

// Draws one picture of a scenario: a panel of bars for each figure, each with its own scale.

const { FONT, TEXT, renderSvg } = require('./svg.js');
const { formatNumber } = require('./table.js');

const WIDTH = 900;
const COLUMNS = 2;
const PANEL_WIDTH = WIDTH / COLUMNS;
const PADDING = 6;
const TITLE_HEIGHT = 34;
const BAR_HEIGHT = 19;
const MARGIN = 14;
const NAMES_WIDTH = 160;
const LABELS_WIDTH = 80;

const OURS = '#d9730d';
const OTHERS = '#6b8fb8';

function heightOf({ values }) {
  return TITLE_HEIGHT + values.length * BAR_HEIGHT + MARGIN;
}

/** The position of each panel: in rows of two, each row as high as its higher panel. */
function layOut(figures) {
  let top = PADDING;
  let rowHeight = 0;
  const places = figures.map((figure, index) => {
    const column = index % COLUMNS;
    if (column === 0) {
      top += rowHeight;
      rowHeight = 0;
    }
    rowHeight = Math.max(rowHeight, heightOf(figure));
    return { left: PADDING + column * PANEL_WIDTH, top };
  });
  return { places, height: top + rowHeight };
}

function drawPanel({ label, unit, digits, better, values }, { left, top }, index) {
  const bars = values.map(({ name, median }) => ({
    value: median ?? 0,
    itemStyle: { color: name.startsWith('rs-cluster') ? OURS : OTHERS },
    label: { formatter: formatNumber(median, digits) },
  }));
  return {
    title: {
      text: label,
      subtext: `${unit}, ${better} is better`,
      left,
      top,
      padding: 0,
      itemGap: 2,
      textStyle: { color: TEXT, fontSize: 13, fontFamily: FONT },
      subtextStyle: { color: TEXT, fontSize: 11, fontFamily: FONT },
    },
    grid: {
      left: left + NAMES_WIDTH,
      top: top + TITLE_HEIGHT,
      width: PANEL_WIDTH - NAMES_WIDTH - LABELS_WIDTH - PADDING,
      height: values.length * BAR_HEIGHT,
    },
    xAxis: { gridIndex: index, type: 'value', min: 0, show: false },
    yAxis: {
      gridIndex: index,
      type: 'category',
      inverse: true,
      data: values.map(({ name }) => name),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { color: TEXT, fontSize: 11, fontFamily: FONT, interval: 0 },
    },
    series: {
      type: 'bar',
      silent: true,
      xAxisIndex: index,
      yAxisIndex: index,
      barWidth: BAR_HEIGHT - 6,
      data: bars,
      label: { show: true, position: 'right', color: TEXT, fontSize: 11, fontFamily: FONT },
    },
  };
}

/** Returns an SVG, which is always the same for the same figures. */
function drawChart({ figures: all }) {
  const figures = all.filter(({ isDrawn }) => isDrawn !== false);
  const { places, height } = layOut(figures);
  const panels = figures.map((figure, index) => drawPanel(figure, places[index], index));
  const part = (key) => panels.map((panel) => panel[key]);
  const options = {
    title: part('title'),
    grid: part('grid'),
    xAxis: part('xAxis'),
    yAxis: part('yAxis'),
    series: part('series'),
  };
  return renderSvg(options, { width: WIDTH, height });
}

module.exports = { drawChart };
