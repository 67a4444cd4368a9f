'use strict';

// The parts of the documentation that tests use: blocks of code, headings, links.
// A comment right before a block says what to do with it:
//
//   <!-- file: app.js -->        the block is a file with this name, for the blocks below it
//   <!-- run: step; step; … -->  these steps happen while the block runs; see helpers/block-steps.js
//   <!-- service: step; … -->    the block is a service: it runs until SIGTERM ends it, alone, and beside each block
//                                below it that has the step `service`
//   <!-- part of: path -->       the block is part of this file of the project, which has tests of its own
//   <!-- deploy: reason -->      the block needs what a test can't have here, such as root's systemd; only its syntax is
//                                checked
//   <!-- clone -->               the block is a command for a clone of this project; the spec lists these
//   none of these                the block runs, and ends by itself with code 0
// A block of `text` right after a block that runs is the output of that block.

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.resolve(__dirname, '../..');
const FENCE = /^```/;
const ANNOTATION = /^<!-- (file|run|clone|service|part of|deploy)(?:: (.*))? -->$/;

/** A document of the project, by its path from the root. */
class Document {
  constructor(name) {
    this.name = name;
    const lines = readFileSync(path.join(ROOT, name), 'utf8').split('\n');
    /** The lines of the document, with lines of code replaced by empty ones. */
    this.prose = [];
    this.blocks = [];
    let block;
    for (const [index, line] of lines.entries()) {
      this.prose.push(block || FENCE.test(line) ? '' : line);
      if (!FENCE.test(line)) {
        block?.lines.push(line);
      } else if (block) {
        this.#add(block);
        block = undefined;
      } else {
        const { kind, what } = annotationAbove(lines, index);
        block = { line: index + 1, language: line.slice(3).trim(), kind, what, lines: [] };
      }
    }
    if (block) throw new Error(`${name}:${block.line}: the block has no end`);
  }

  #add({ lines, ...block }) {
    const text = `${lines.join('\n')}\n`;
    const previous = this.blocks.at(-1);
    this.blocks.push({ ...block, place: `${this.name}:${block.line}`, text, previous });
  }

  /** The files that exist for a block: for each name, the last one above it. */
  filesFor(block) {
    const above = this.blocks.slice(0, this.blocks.indexOf(block));
    const files = above.filter(({ kind }) => kind === 'file');
    return Object.fromEntries(files.map(({ what, text }) => [what, text]));
  }

  /** The service that exists for a block: the last one above it. */
  serviceFor(block) {
    const above = this.blocks.slice(0, this.blocks.indexOf(block));
    return above.findLast(({ kind }) => kind === 'service');
  }

  /** The output that the document shows for a block; undefined if it does not show any. */
  outputOf(block) {
    const next = this.blocks[this.blocks.indexOf(block) + 1];
    return next?.language === 'text' ? next.text : undefined;
  }

  /** The headings: their text, and the anchor that GitHub makes from it. */
  get headings() {
    const counts = new Map();
    return this.prose.flatMap((line, index) => {
      const [, marks, text] = /^(#+) +(.*?)\s*$/.exec(line) ?? [];
      if (text === undefined) return [];
      const slug = slugOf(text);
      const count = counts.get(slug) ?? 0;
      counts.set(slug, count + 1);
      const anchor = count === 0 ? slug : `${slug}-${count}`;
      return [{ level: marks.length, text, anchor, line: index }];
    });
  }

  /** The targets of links and pictures within the project. */
  get links() {
    const text = this.prose.join('\n').replace(/`[^`\n]*`/g, '');
    const targets = [
      ...text.matchAll(/\]\(\s*([^)\s]+)\s*\)/g),
      ...text.matchAll(/\b(?:src|srcset|href)="([^"]+)"/g),
    ].map(([, target]) => target);
    return targets.filter((target) => !/^[a-z]+:/.test(target));
  }

  /** The first cells of the document's tables, and its headings. */
  get entries() {
    const rows = this.prose.filter((line) => line.startsWith('| '));
    return [...rows.map((row) => row.split('|')[1]), ...this.headings.map(({ text }) => text)];
  }

  /** The text below a heading, up to the next heading of the same or a higher level. */
  sectionOf({ level, line }) {
    const next = this.headings.find((other) => other.line > line && other.level <= level);
    return this.prose.slice(line + 1, next?.line).join('\n');
  }
}

function annotationAbove(lines, index) {
  const above = lines.slice(0, index).findLast((line) => line.trim() !== '') ?? '';
  const [, kind, what = ''] = ANNOTATION.exec(above.trim()) ?? [];
  return { kind, what };
}

function slugOf(heading) {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** The names of the documents for users. */
function userDocuments() {
  const inFolder = (folder) =>
    readdirSync(path.join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.join(folder, name));
  return ['README.md', ...inFolder('docs'), ...inFolder('examples')];
}

module.exports = { Document, ROOT, userDocuments };
