'use strict';

// The few things that the page does to its document. Text is never taken for markup.

const SVG = 'http://www.w3.org/2000/svg';
const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const it = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

function svg(name, attributes = {}, ...children) {
  const it = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) it.setAttribute(key, value);
  it.append(...children);
  return it;
}

/** Touches the document only if something changes. */
function setText(it, text) {
  if (it.textContent !== `${text}`) it.textContent = text;
}

function setAttribute(it, name, value) {
  if (it.getAttribute(name) !== `${value}`) it.setAttribute(name, value);
}

function show(id, text) {
  setText(byId(id), text);
}

function shape() {
  return svg('svg', { class: 'shape', 'aria-hidden': 'true' }, svg('use'));
}

function setShape(it, name) {
  setAttribute(it.firstElementChild, 'href', `#shape-${name}`);
}

/** Lets the keyboard reach what scrolls, and only that. */
function watchScrollers() {
  const update = (it) => {
    const scrolls = it.scrollWidth > it.clientWidth || it.scrollHeight > it.clientHeight;
    if (scrolls === it.hasAttribute('tabindex')) return;
    const heading = it.closest('section').getAttribute('aria-labelledby');
    const attributes = { tabindex: '0', role: 'group', 'aria-labelledby': heading };
    for (const [name, value] of Object.entries(attributes)) {
      if (scrolls) it.setAttribute(name, value);
      else it.removeAttribute(name);
    }
  };
  const scrollers = [...document.querySelectorAll('.scroller')];
  const observer = new ResizeObserver(() => {
    for (const it of scrollers) update(it);
  });
  for (const it of scrollers) {
    observer.observe(it);
    observer.observe(it.firstElementChild);
  }
}
