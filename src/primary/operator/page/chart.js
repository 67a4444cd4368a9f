'use strict';

// Small graphs of the last two minutes.

const SECONDS = 120;
const [WIDTH, HEIGHT] = [360, 72];

/** Where a second is, from the left; the newest is at the right edge. */
const xOf = (index, length) => ((SECONDS - length + index) / (SECONDS - 1)) * WIDTH;

/** The next of 1, 2, 5, 10, 20, … that is not below the value. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map((it) => it * power).find((it) => it >= value);
}

/** A scale from 0, for counts. */
function linear(values) {
  const top = Math.max(10, roundUp(Math.max(0, ...values.filter(isNumber))));
  return {
    y: (value) => HEIGHT - (value / top) * HEIGHT,
    marks: [top, top / 2],
  };
}

/** A scale by powers of ten, for times of which one may be a thousand times another. */
function logarithmic(values) {
  const known = values.filter((it) => isNumber(it) && it > 0);
  const low = Math.floor(Math.log10(Math.min(10, ...known)));
  const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(1000, ...known))));
  const y = (value) => HEIGHT - ((Math.log10(Math.max(value, 1)) - low) / (high - low)) * HEIGHT;
  const marks = Array.from({ length: high - low }, (_, index) => 10 ** (high - index));
  return { y, marks };
}

/** The path of a line, which has gaps where nothing is known. */
function linePath(values, y) {
  let isDown = false;
  const steps = values.map((value, index) => {
    if (!isNumber(value)) {
      isDown = false;
      return '';
    }
    const step = `${isDown ? 'L' : 'M'}${xOf(index, values.length).toFixed(1)} ${y(value).toFixed(1)}`;
    // A dot, in case no neighbor is known.
    const dot = isDown ? '' : 'h0.01';
    isDown = true;
    return step + dot;
  });
  return steps.join('');
}

function areaPath(values, y) {
  if (values.length === 0) return '';
  const points = values.map(
    (value, index) => `${xOf(index, values.length).toFixed(1)} ${y(value ?? 0).toFixed(1)}`,
  );
  return `M${xOf(0, values.length).toFixed(1)} ${HEIGHT}L${points.join('L')}V${HEIGHT}z`;
}

class Chart {
  #picture = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
  });
  #grid = svg('path', { class: 'grid' });
  #area = svg('path', { class: 'area' });
  #lines;
  #cursor = svg('path', { class: 'cursor' });
  #reading = element('span', { class: 'reading' });
  #series = [];
  /** The second that the pointer is at, before the newest. */
  #pointed;
  #labels = element('div', { class: 'marks', 'aria-hidden': 'true' });
  #scale;
  #format;
  #formatMark;

  /**
   * @param {HTMLElement} place
   * @param {object} how
   * @param {string[]} how.lines their classes
   * @param {boolean} [how.isFilled]
   * @param {Function} how.scale
   * @param {Function} how.format for values
   * @param {Function} [how.formatMark] for the marks of the scale
   */
  constructor(place, { lines, isFilled = false, scale, format, formatMark = format }) {
    this.#scale = scale;
    this.#format = format;
    this.#formatMark = formatMark;
    this.#lines = lines.map((name) => svg('path', { class: `line ${name}` }));
    this.#picture.append(
      this.#grid,
      ...(isFilled ? [this.#area] : []),
      ...this.#lines,
      this.#cursor,
    );
    const ends = element('div', { class: 'ends', 'aria-hidden': 'true' });
    ends.append(element('span', {}, '2 min ago'), this.#reading, element('span', {}, 'now'));
    place.append(this.#picture, this.#labels, ends);
    this.#picture.addEventListener('pointermove', ({ offsetX }) => {
      const { width } = this.#picture.getBoundingClientRect();
      this.#point(Math.round((1 - offsetX / width) * (SECONDS - 1)));
    });
    this.#picture.addEventListener('pointerleave', () => this.#point(undefined));
  }

  /**
   * @param {(number | null)[][]} series one for each line, oldest first
   * @param {string} label what it shows, in words
   */
  update(series, label) {
    const recent = series.map((values) => values.slice(-SECONDS));
    const { y, marks } = this.#scale(recent.flat());
    recent.forEach((values, index) => {
      setAttribute(this.#lines[index], 'd', linePath(values, y));
    });
    setAttribute(this.#area, 'd', areaPath(recent[0], y));
    setAttribute(this.#grid, 'd', marks.map((mark) => `M0 ${y(mark)}H${WIDTH}`).join(''));
    setAttribute(this.#picture, 'aria-label', label);
    this.#mark(marks, y);
    this.#series = recent;
    this.#point(this.#pointed);
  }

  /** Reads the values of the second under the pointer. */
  #point(second) {
    this.#pointed = second;
    const values = this.#series.map((list) => list[list.length - 1 - second]);
    const isThere = values.some(isNumber);
    const x = xOf(SECONDS - 1 - second, SECONDS).toFixed(1);
    setAttribute(this.#cursor, 'd', isThere ? `M${x} 0V${HEIGHT}` : '');
    setText(
      this.#reading,
      isThere ? `${second} s ago: ${values.map(this.#format).join(' · ')}` : '',
    );
  }

  #mark(marks, y) {
    while (this.#labels.children.length > marks.length) this.#labels.lastElementChild.remove();
    marks.forEach((mark, index) => {
      const label = this.#labels.children[index] ?? this.#labels.appendChild(element('span'));
      setText(label, this.#formatMark(mark));
      label.style.top = `${((y(mark) / HEIGHT) * 100).toFixed(1)}%`;
    });
  }
}
