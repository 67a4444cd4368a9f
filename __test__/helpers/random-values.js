'use strict';

// Random values, also such as no program should send. They are built from recipes, which are trees without
// functions, so that one recipe can be built several times, printed, and made smaller. User code in these
// values writes to a log when it runs.

const { Random } = require('../../tools/random.js');

const LEAVES = {
  one: () => 1,
  minusZero: () => -0,
  notANumber: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  fraction: () => 0.1,
  large: () => 2 ** 53,
  beyondInt32: () => 2 ** 31,
  empty: () => '',
  text: () => 'text "\\\n',
  wide: () => 'ü € 漢字 🦀',
  half: () => 'a\ud800',
  long: () => 'x'.repeat(1025),
  true: () => true,
  false: () => false,
  null: () => null,
  undefined: () => undefined,
  bigint: () => 2n ** 70n,
  symbol: () => Symbol('symbol'),
  function: () => function named() {},
};
const KEYS = ['a', 'b', 'z', '0', '1', '7', '-1', '01', '4294967295', '__proto__', 'toJSON'];
const NAMES = [...KEYS, 'constructor', 'length', 'message', 'ü', '', 'tag', 'symbol'];
const SYMBOLS = { tag: Symbol.toStringTag, symbol: Symbol('member') };

/** The inside of an object; `members` are added to it. */
const INSIDES = {
  plain: () => ({}),
  array: () => [],
  holes: () => new Array(3),
  map: (_log, items) => new Map(items.map((item) => [item, item])),
  set: (_log, items) => new Set(items),
  date: () => new Date(1e12),
  badDate: () => new Date(Number.NaN),
  pattern: () => /a+(b)?/giu,
  error: (_log, [cause]) => Object.assign(new RangeError('too far', { cause }), { stack: 'stack' }),
  failure: () => Object.assign(new Error('plain'), { stack: 'stack' }),
  boxedNumber: () => Object(7),
  boxedText: () => Object('ab'),
  boxedEmpty: () => Object(''),
  boxedBoolean: () => Object(false),
  boxedBigint: () => Object(7n),
  boxedSymbol: () => Object(Symbol('boxed')),
  buffer: () => Buffer.from('bytes'),
  bytes: () => new Uint8Array([1, 2, 3]),
  part: () => new Uint16Array([1, 2, 3, 4]).subarray(1, 3),
  floats: () => new Float64Array([Math.PI, -0]),
  view: () => new DataView(new ArrayBuffer(4), 1, 2),
  arrayBuffer: () => new Uint8Array([1, 2, 3]).buffer,
  detached: () => detach(new Uint8Array(8)),
  detachedView: () => detach(new DataView(new ArrayBuffer(8))),
  shared: () => new SharedArrayBuffer(4),
  promise: () => Promise.resolve(),
  weakMap: () => new WeakMap(),
  weakSet: () => new WeakSet(),
  generator: () => (function* generate() {})(),
  mapIterator: () => new Map().entries(),
  setIterator: () => new Set().values(),
  strictArguments: (_log, items) => STRICT(...items),
  sloppyArguments: (_log, items) => SLOPPY(...items),
  proxy: (log, items) => new Proxy(Object.assign({}, items), trapsOf(log)),
  arrayProxy: (log, items) => new Proxy(items, trapsOf(log)),
  instance: () =>
    new (class Custom {
      own = 1;
    })(),
  raw: () => JSON.rawJSON?.('1') ?? {},
  host: () => process.env,
};
const STRICT = new Function("'use strict'; return arguments;");
const SLOPPY = new Function('return arguments;');

const PROTOTYPES = {
  own: (_log, object) => Object.getPrototypeOf(object),
  plain: () => Object.prototype,
  null: () => null,
  array: () => Array.prototype,
  map: () => Map.prototype,
  error: () => Error.prototype,
  date: () => Date.prototype,
  empty: () => ({}),
  json: (log) => ({ toJSON: () => log.push('inherited toJSON') }),
  accessor: (log) => ({
    get a() {
      return log.push('inherited a');
    },
  }),
  indexes: (log) => ({
    get 0() {
      return log.push('inherited 0');
    },
  }),
};

/** The ways to define a member. */
const WAYS = {
  data: (_log, { value }) => ({ value, enumerable: true, configurable: true, writable: true }),
  hidden: (_log, { value }) => ({ value, enumerable: false, configurable: true }),
  frozen: (_log, { value }) => ({ value, enumerable: true }),
  getter: (log, { name, value }) => ({
    get: () => log.push(`get ${name}`) && value,
    enumerable: true,
    configurable: true,
  }),
  hiddenGetter: (log, { name, value }) => ({ get: () => log.push(`get ${name}`) && value }),
  setter: (log, { name }) => ({ set: () => log.push(`set ${name}`), enumerable: true }),
  thrower: (log, { name }) => ({
    get() {
      log.push(`throw ${name}`);
      throw new RangeError(`from ${name}`);
    },
    enumerable: true,
  }),
  adder: (log, { object, name, value }) => ({
    get() {
      log.push(`add by ${name}`);
      object.added = value;
      delete object.z;
      return value;
    },
    enumerable: true,
    configurable: true,
  }),
};

/** The changes that a program can make to the built-in objects. */
const PATCHES = {
  objectToJson: (log) => [Object.prototype, 'toJSON', () => log.push('Object toJSON')],
  arrayToJson: (log) => [Array.prototype, 'toJSON', () => log.push('Array toJSON')],
  textToJson: (log) => [String.prototype, 'toJSON', () => log.push('String toJSON')],
  bigintToJson: (log) => [BigInt.prototype, 'toJSON', () => log.push('BigInt toJSON')],
  tag: () => [Object.prototype, Symbol.toStringTag, 'Object'],
  every: (log) => [Array.prototype, 'every', () => log.push('every')],
  keys: (log) => [Object, 'keys', () => Array(log.push('keys'))],
  descriptor: (log) => [Object, 'getOwnPropertyDescriptor', () => log.push('descriptor')],
  has: (log) => [Set.prototype, 'has', () => log.push('has')],
  add: (log) => [Set.prototype, 'add', () => log.push('add')],
  stringify: (log) => [JSON, 'stringify', () => `${log.push('stringify')}`],
};

function trapsOf(log) {
  const names = ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor'];
  const trap =
    (name) =>
    (target, ...rest) => {
      log.push(`trap ${name}`);
      return Reflect[name](target, ...rest);
    };
  return Object.fromEntries(names.map((name) => [name, trap(name)]));
}

function detach(view) {
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

const DEEPEST = 4;

/**
 * A recipe: `{ value, patches }`, where a value is a leaf's name, the number of an earlier object, or an
 * object.
 */
function makeRecipe(seed) {
  const random = new Random(seed);
  // The sent value has to be an object, because the serializer does not decide about others.
  return {
    value: objectRecipe(random, 0),
    patches: random.oneIn(8) ? [random.pick(Object.keys(PATCHES))] : [],
  };
}

function valueRecipe(random, depth) {
  const what = random.weighted({ leaf: 3 + depth * 2, object: 8, earlier: depth / 4 });
  if (depth === DEEPEST || what === 'leaf') return leafRecipe(random);
  return what === 'earlier' ? random.below(4) : objectRecipe(random, depth);
}

function objectRecipe(random, depth) {
  // Many values are entirely plain, so that JSON is tested as well.
  if (!random.oneIn(4)) return plainRecipe(random, depth);
  return {
    inside: random.pick(Object.keys(INSIDES)),
    prototype: random.oneIn(2) ? 'own' : random.pick(Object.keys(PROTOTYPES)),
    items: random.list(2, () => valueRecipe(random, depth + 1)),
    members: random.list(3, () => unusualMember(random, depth)),
  };
}

function leafRecipe(random) {
  const names = Object.keys(LEAVES);
  return random.oneIn(8)
    ? random.pick(names)
    : random.pick(['one', 'text', 'true', 'null', 'fraction', 'wide']);
}

function plainRecipe(random, depth) {
  const isArray = random.oneIn(3);
  const member = (index) => {
    if (random.oneIn(40)) return unusualMember(random, depth);
    const key = isArray ? `${index}` : random.pick(['a', 'b', 'z', '0', '7', 'ü']);
    return { key, way: 'data', value: valueRecipe(random, depth + 1) };
  };
  return {
    inside: isArray ? 'array' : 'plain',
    prototype: random.oneIn(30) ? random.pick(Object.keys(PROTOTYPES)) : 'own',
    items: [],
    members: random.list(4, member),
  };
}

function unusualMember(random, depth) {
  const way = random.oneIn(2) ? 'data' : random.pick(Object.keys(WAYS));
  return { key: random.pick(NAMES), way, value: valueRecipe(random, depth + 1) };
}

/** Builds the value of a recipe, with the log that its code writes to. */
function build(recipe) {
  const log = [];
  const earlier = [];
  const make = (value) => {
    if (typeof value === 'number') return earlier[value];
    if (typeof value === 'string') return LEAVES[value]();
    const object = INSIDES[value.inside](log, value.items.map(make));
    earlier.push(object);
    // These objects belong to the whole process, so they must not be changed.
    if (value.inside === 'host' || value.inside === 'raw') return object;
    for (const { key, way, value: inner } of value.members) {
      const name = SYMBOLS[key] ?? key;
      const descriptor = WAYS[way](log, { object, name: key, value: make(inner) });
      define(object, name, descriptor);
    }
    Reflect.setPrototypeOf(object, PROTOTYPES[value.prototype](log, object));
    return object;
  };
  const value = make(recipe.value);
  log.length = 0;
  return { value, log };
}

/** Defines a member unless this is impossible: on a view, twice, or with an invalid length. */
function define(object, name, descriptor) {
  try {
    Reflect.defineProperty(object, name, descriptor);
  } catch {}
}

/** Calls back while the patches are in force. */
function patched(patches, log, callback) {
  const undo = patches.map((name) => {
    const [object, member, value] = PATCHES[name](log);
    const before = Reflect.getOwnPropertyDescriptor(object, member);
    Object.defineProperty(object, member, { value, configurable: true, writable: true });
    return { object, member, before };
  });
  // These are read before the callback, because they may be patched.
  const { defineProperty, deleteProperty } = Reflect;
  try {
    return callback();
  } finally {
    for (const { object, member, before } of undo) {
      if (before) defineProperty(object, member, before);
      else deleteProperty(object, member);
    }
  }
}

/** Yields recipes that are one step smaller. */
function* smaller({ value, patches }) {
  if (patches.length > 0) yield { value, patches: [] };
  for (const { value: inner } of value.members) {
    if (typeof inner === 'object') yield { value: inner, patches };
  }
  for (const candidate of smallerValues(value)) {
    if (typeof candidate === 'object') yield { value: candidate, patches };
  }
}

function* smallerValues(value) {
  if (value === 'one') return;
  yield 'one';
  if (typeof value !== 'object') return;
  for (const [list, innerOf, replace] of [
    ['members', (member) => member.value, (member, inner) => ({ ...member, value: inner })],
    ['items', (item) => item, (_item, inner) => inner],
  ]) {
    for (const [index, entry] of value[list].entries()) {
      yield { ...value, [list]: replaced(value[list], index) };
      for (const inner of smallerValues(innerOf(entry))) {
        yield { ...value, [list]: replaced(value[list], index, replace(entry, inner)) };
      }
    }
  }
  if (value.prototype !== 'own') yield { ...value, prototype: 'own' };
}

/** The list with these entries in place of one entry. */
function replaced(list, index, ...entries) {
  return [...list.slice(0, index), ...entries, ...list.slice(index + 1)];
}

/** The smallest recipe found from this one that also fails. */
function minimize(recipe, fails) {
  for (const candidate of smaller(recipe)) {
    if (fails(candidate)) return minimize(candidate, fails);
  }
  return recipe;
}

module.exports = { build, makeRecipe, minimize, patched };
