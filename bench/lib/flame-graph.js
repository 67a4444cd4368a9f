'use strict';

// Folds the samples of perf, and draws them as a flame graph: each frame as wide as its share of the samples, and above
// the frame that called it.

const { FONT, TEXT, renderSvg } = require('./svg.js');

const WIDTH = 1200;
const ROW = 17;
const TITLE = 40;
/** Narrower frames are left out, with what they have called. */
const LEAST_WIDTH = 2;
/** The width of a letter, and the least width of a frame with a name. */
const LETTER = 6.2;
const LEAST_NAMED = 30;
const COLORS = { kernel: '#8aa6c4', script: '#e2b04a', native: '#e08a4f', root: '#b8bec6' };

/** A name without what only this machine has: paths, and addresses. */
function shortenName(name) {
  return name
    .replace(/\+0x[\da-f]+.*$/, '')
    .replace(/(^|[\s(])(?:file:\/\/)?\/[^\s:]*\/([^\s/:]+)/g, '$1$2')
    .replace(/::h[\da-f]{16}$/, '');
}

function kindOf(name, object) {
  if (/^\[|vmlinux/.test(object)) return 'kernel';
  return /^(?:JS:|Eval:|Builtin:|BytecodeHandler|Script:|Function:|RegExp:)/.test(name)
    ? 'script'
    : 'native';
}

/** The stacks of `perf script -F ip,sym,dso`, each from its outermost frame on. */
function parseStacks(text) {
  const blocks = text.split(/\n\s*\n/).map((block) => block.trim());
  const frameOf = (line) => {
    const [, name, object] =
      /^\s*[\da-f]+ (.*?)(?: \(([^()]*(?:\([^()]*\))?)\))?$/.exec(line) ?? [];
    return name === undefined
      ? []
      : [{ name: shortenName(name), kind: kindOf(name, object ?? '') }];
  };
  const stacks = blocks.map((block) => block.split('\n').flatMap(frameOf).reverse());
  return stacks.filter((stack) => stack.length > 0);
}

/** The tree of frames, each with the number of samples in which it was. */
function fold(stacks) {
  const root = { name: 'all', kind: 'root', count: stacks.length, children: new Map() };
  for (const stack of stacks) {
    let node = root;
    for (const { name, kind } of stack) {
      if (!node.children.has(name)) {
        node.children.set(name, { name, kind, count: 0, children: new Map() });
      }
      node = node.children.get(name);
      node.count += 1;
    }
  }
  return root;
}

/** The frames that are wide enough, with their places; the widest of each row come first. */
function layOut(root) {
  const unit = WIDTH / root.count;
  const frames = [];
  const place = (node, left, depth) => {
    const width = node.count * unit;
    if (width < LEAST_WIDTH) return;
    frames.push({ ...node, left, width, depth });
    let next = left;
    for (const child of [...node.children.values()].sort((a, b) => b.count - a.count)) {
      place(child, next, depth + 1);
      next += child.count * unit;
    }
  };
  place(root, 0, 0);
  return frames;
}

function label(name, width) {
  const letters = Math.floor(width / LETTER);
  if (width < LEAST_NAMED) return '';
  return name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
}

function drawFrame({ name, kind, left, width, depth }, height) {
  const top = height - (depth + 1) * ROW;
  const shape = { x: left, y: top, width: Math.max(width - 0.5, 0.5), height: ROW - 1 };
  const style = { x: left + 3, y: top + 3, text: label(name, width - 6), fill: '#222' };
  const text = { type: 'text', silent: true, style: { ...style, font: `10px ${FONT}` } };
  const rectangle = { type: 'rect', silent: true, shape, style: { fill: COLORS[kind] } };
  return style.text ? [rectangle, text] : [rectangle];
}

/** Returns an SVG of the stacks. */
function drawFlameGraph(stacks, title) {
  const frames = layOut(fold(stacks));
  const height = TITLE + (Math.max(...frames.map(({ depth }) => depth)) + 1) * ROW;
  const subtext = 'blue: the kernel, orange: compiled code, yellow: JavaScript';
  const options = {
    title: {
      text: title,
      subtext,
      itemGap: 2,
      padding: 0,
      textStyle: { color: TEXT, fontSize: 13, fontFamily: FONT },
      subtextStyle: { color: TEXT, fontSize: 11, fontFamily: FONT },
    },
    graphic: { elements: frames.flatMap((frame) => drawFrame(frame, height)) },
  };
  return renderSvg(options, { width: WIDTH, height });
}

module.exports = { drawFlameGraph, parseStacks };
