'use strict';

// Joins modules into few files, because each file that Node loads takes it a tenth of a millisecond, and a worker has
// about 50. They stay CommonJS modules, and run when they are first needed, as before: the parts that are loaded
// later share the modules of the first, which general bundlers do not do for CommonJS.

const { readFileSync } = require('node:fs');
const path = require('node:path');

// Our sources name modules in this form alone. A statement that begins a line runs when its module is loaded.
const REQUIRE = /\brequire\('(\.[^']*)'\)/g;
const FIRST = /^(?=\S).*\brequire\('(\.[^']*)'\)/gm;
const STRICT = "'use strict';\n";

/**
 * @typedef {object} Chunk modules in one file
 * @property {string} file
 * @property {string[]} entries what it is for: it has these and what they load, as far as chunks before it do not
 *   have that. One without entries has what the others load later.
 */

/** Reads modules, by their paths below `root`. */
class Modules {
  #root;
  #sources = new Map();

  constructor(root) {
    this.#root = root;
  }

  sourceOf(name) {
    if (!this.#sources.has(name)) {
      this.#sources.set(name, readFileSync(path.join(this.#root, name), 'utf8'));
    }
    return this.#sources.get(name);
  }

  /** The modules that this one names: those that it loads at once, or all. */
  requiredBy(name, pattern) {
    const found = this.sourceOf(name).matchAll(pattern);
    return [...found].map(([, specifier]) => resolve(name, specifier));
  }

  /** These modules and all that they name, in the order in which they are loaded. */
  closure(names, pattern) {
    const found = new Set();
    const add = (name) => {
      if (found.has(name)) return;
      found.add(name);
      this.requiredBy(name, pattern).forEach(add);
    };
    names.forEach(add);
    return [...found];
  }
}

function resolve(from, specifier) {
  return path.posix.join(path.posix.dirname(from), specifier);
}

/**
 * Distributes modules over chunks.
 *
 * @param {Chunk[]} chunks the first is loaded first, and loads the others in this order
 * @returns {string[][]} the names of the modules of each chunk
 */
function distribute(modules, chunks) {
  const placed = new Set();
  const entries = chunks.flatMap((chunk) => chunk.entries);
  return chunks.map((chunk) => {
    const names = chunk.entries.length > 0 ? chunk.entries : entries;
    const pattern = chunk.entries.length > 0 ? FIRST : REQUIRE;
    const own = modules.closure(names, pattern).filter((name) => !placed.has(name));
    for (const name of own) placed.add(name);
    return own;
  });
}

/**
 * Leaves out indentation, empty lines, and comments on lines of their own, which V8 would read with each start of a
 * process, and keep. This needs no parser, because nothing is installed where packages are published; a spec compares
 * what is left with the tokens of every module. A backtick is taken for one of a template.
 */
function compact(source) {
  const lines = [];
  let isComment = false;
  let isTemplate = false;
  for (const line of source.split('\n')) {
    const text = line.trimStart();
    isComment ||= !isTemplate && text.startsWith('/*');
    const isLeftOut = isComment || (!isTemplate && (text === '' || text.startsWith('//')));
    if (isComment) isComment = !text.endsWith('*/');
    if (isLeftOut) continue;
    lines.push(isTemplate ? line : text);
    if (line.split('`').length % 2 === 0) isTemplate = !isTemplate;
  }
  return `${lines.join('\n')}\n`;
}

/** A module as a property, a function that runs it. The parentheses let V8 compile it at once, not in two steps. */
function wrap(modules, name) {
  const source = compact(modules.sourceOf(name)).replace(STRICT, '');
  const body = source.replace(
    REQUIRE,
    (_all, specifier) => `requireJoined('${resolve(name, specifier)}')`,
  );
  return `'${name}': (function (module, exports, __filename, requireJoined) {\n${body}}),\n`;
}

/** What loads modules. The first chunk exports it. */
function loader(first, others) {
  const extend = others.map((file) => `() => require('./${path.posix.basename(file)}')`);
  return `
const file = typeof __filename === 'string' ? __filename : undefined;
// Not in a bundle of the user, where all that the modules know is the bundle's file.
const root = file?.endsWith('/${first}') ? file.slice(0, -'/${first}'.length) : undefined;
const loaded = new Map();
const others = [${extend.join(', ')}];

function load(name) {
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  while (modules[name] === undefined) {
    Object.assign(modules, others[0]());
    // Not before: what can't be read now, may be later.
    others.shift();
  }
  const module = { exports: {} };
  loaded.set(name, module);
  const itsFile = root === undefined ? file : root + '/' + name;
  try {
    modules[name](module, module.exports, itsFile, load);
  } catch (error) {
    // The next one to need it tries again, as with modules of Node.
    loaded.delete(name);
    throw error;
  }
  return module.exports;
}

module.exports = load;
`;
}

/** Escapes what is not ASCII: V8 keeps a text with a single such character in two bytes for each. */
function toAscii(text) {
  const toEscape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return text.replace(/[^\0-\x7f]/g, toEscape);
}

/**
 * Joins the modules below `root` that the entries of these chunks need.
 *
 * @param {Chunk[]} chunks in one directory
 * @returns {Map<string, string>} the text of each file
 */
function joinModules(root, chunks) {
  const modules = new Modules(root);
  const [first, ...others] = chunks.map(({ file }) => file);
  const texts = distribute(modules, chunks).map((names, index) => {
    const all = `{\n${names.map((name) => wrap(modules, name)).join('')}}`;
    if (index > 0) return `${STRICT}module.exports = ${all};\n`;
    return `${STRICT}const modules = ${all};\n${loader(first, others)}`;
  });
  return new Map(chunks.map(({ file }, index) => [file, toAscii(texts[index])]));
}

/**
 * The text of a module that loads others from chunks, so that none is loaded twice.
 *
 * @param {string} file of the module
 * @param {string} first the first file of the chunks
 * @param {(name: string) => boolean} isJoined whether the chunks have a module
 */
function redirect(source, file, first, isJoined) {
  const relative = path.posix.relative(path.posix.dirname(file), first);
  const chunk = relative.startsWith('.') ? relative : `./${relative}`;
  return source.replace(REQUIRE, (all, specifier) => {
    const name = resolve(file, specifier);
    return isJoined(name) ? `require('${chunk}')('${name}')` : all;
  });
}

/** The names of all modules in these chunks. */
function joinedNames(root, chunks) {
  return new Set(distribute(new Modules(root), chunks).flat());
}

module.exports = { compact, joinModules, joinedNames, redirect };
