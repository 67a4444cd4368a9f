'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parse } = require('acorn');
const test = require('ava');
const { run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');
const { compact, joinModules, redirect } = require('../../packaging/lib/chunks');
const { makeRunnable } = require('../../packaging/lib/main-package');

// What loading takes depends on the number of files, so these lists must not grow.
const PRIMARY = ['addon', 'index.js', 'lib/chunks/primary.js'];
const FORKING = [
  'addon',
  'index.js',
  'lib/chunks/channel.js',
  'lib/chunks/fork.js',
  'lib/chunks/primary.js',
];
const WORKER = ['addon', 'index.js', 'lib/chunks/worker.js', 'preload.js'];

const UNREADABLE = { code: 'MODULE_NOT_FOUND', workers: 0, isEnded: true };

test('processes load few files of the package, and only joined ones', async (t) => {
  const directory = makeRunnable(path.join(temporaryDirectory(t), 'rs-cluster'));
  const { lines, stderr, code } = await run(t, 'tools/loaded-files', { args: [directory] });
  t.is(stderr, '');
  t.is(code, 0);
  const [{ primary, forking, worker, supervised, supervising }] = lines;
  t.deepEqual(primary, PRIMARY);
  t.deepEqual(forking, FORKING);
  t.deepEqual(worker, WORKER);
  t.deepEqual(supervised, [...WORKER, 'lib/chunks/worker-rest.js'].sort());
  t.deepEqual(supervising, [...FORKING, 'lib/chunks/primary-rest.js'].sort());
});

test('fork() leaves no process where it can not load the rest of the package, and works later', async (t) => {
  for (const [recovers, later] of [
    [[], []],
    [['recovers'], [UNREADABLE, UNREADABLE, { isClosed: true, code: 0 }]],
  ]) {
    const directory = makeRunnable(path.join(temporaryDirectory(t), 'rs-cluster'));
    const args = [directory, ...recovers];
    const { lines, stderr, code } = await run(t, 'tools/unreadable-channel', { args });
    t.is(stderr, '');
    t.is(code, 0);
    t.deepEqual(lines, [UNREADABLE, ...later]);
  }
});

/** Writes modules, joins them, and returns the directory with the chunks. */
function joined(t, sources, chunks) {
  const directory = temporaryDirectory(t);
  const put = (file, text) => {
    fs.mkdirSync(path.dirname(path.join(directory, file)), { recursive: true });
    fs.writeFileSync(path.join(directory, file), text);
  };
  for (const [file, lines] of Object.entries(sources))
    put(file, `'use strict';\n${lines.join('\n')}\n`);
  for (const [file, text] of joinModules(directory, chunks)) put(file, text);
  return directory;
}

const CHUNKS = [
  { file: 'chunks/first.js', entries: ['lib/a.js'] },
  { file: 'chunks/second.js', entries: ['lib/later.js'] },
  { file: 'chunks/rest.js', entries: [] },
];

test('joined modules run once, when they are needed, and share what they export', (t) => {
  const sources = {
    'lib/a.js': [
      "require('./shared.js').ran.push('a');",
      "module.exports = (name) => (name ? require('./later.js') : require('./seldom.js'));",
    ],
    'lib/shared.js': ['module.exports = { ran: [] };'],
    'lib/later.js': [
      'const {',
      '  ran,',
      "} = require('./shared.js');",
      "ran.push('later');",
      'exports.ran = ran;',
    ],
    'lib/seldom.js': ["exports.file = require('node:path').basename(__filename);"],
  };
  const directory = joined(t, sources, CHUNKS);
  const isLoaded = (name) => path.join(directory, 'chunks', name) in require.cache;
  const load = require(path.join(directory, 'chunks/first.js'));
  const { ran } = load('lib/shared.js');
  const a = load('lib/a.js');
  t.deepEqual(ran, ['a']);
  t.false(isLoaded('second.js'));
  t.is(a('later').ran, ran);
  a('later');
  t.deepEqual(ran, ['a', 'later']);
  t.false(isLoaded('rest.js'));
  t.is(a().file, 'seldom.js');
});

test('a joined module that fails runs again for the next one that needs it', (t) => {
  const sources = {
    'lib/a.js': ["exports.load = () => require('./later.js');"],
    'lib/later.js': [
      'globalThis.failures ??= 1;',
      "if (globalThis.failures-- > 0) throw new Error('no');",
      'exports.isWhole = true;',
    ],
  };
  const load = require(path.join(joined(t, sources, CHUNKS), 'chunks/first.js'));
  t.teardown(() => delete globalThis.failures);
  t.throws(load('lib/a.js').load, { message: 'no' });
  t.deepEqual(load('lib/a.js').load(), { isWhole: true });
});

test('a file of joined modules that could not be read is read when they are next needed', (t) => {
  const sources = {
    'lib/a.js': ['exports.load = () => {', "  return require('./later.js');", '};'],
    'lib/later.js': ['exports.isWhole = true;'],
  };
  const directory = joined(t, sources, CHUNKS);
  const [file, elsewhere] = ['chunks/second.js', 'second.js'].map((it) => path.join(directory, it));
  const { load } = require(path.join(directory, 'chunks/first.js'))('lib/a.js');
  fs.renameSync(file, elsewhere);
  for (let time = 0; time < 2; time += 1) t.throws(load, { code: 'MODULE_NOT_FOUND' });
  fs.renameSync(elsewhere, file);
  t.deepEqual(load(), { isWhole: true });
});

test('joined modules are ASCII, and have the texts that they had', (t) => {
  const sources = {
    'lib/a.js': ['// \u2026', "module.exports = 'a\u2026\u{1f600}';"],
    'lib/later.js': [],
  };
  const file = path.join(joined(t, sources, CHUNKS), 'chunks/first.js');
  t.notRegex(fs.readFileSync(file, 'utf8'), /[^\0-\x7f]/);
  t.is(require(file)('lib/a.js'), 'a\u2026\u{1f600}');
});

/** What the parser sees of a program: its tokens, and which of them begin lines. */
function tokensOf(source) {
  const tokens = [];
  let end = 0;
  parse(source, {
    ecmaVersion: 'latest',
    onToken: ({ type, start, end: next }) => {
      const isFirst = source.slice(end, start).includes('\n');
      tokens.push([type.label, source.slice(start, next), isFirst]);
      end = next;
    },
  });
  return tokens;
}

test('joined modules have no comments and no indentation, and the tokens of their sources', (t) => {
  const lib = path.join(__dirname, '../../lib');
  const files = fs.readdirSync(lib, { recursive: true }).filter((name) => name.endsWith('.js'));
  t.true(files.length > 50);
  for (const file of files) {
    const source = fs.readFileSync(path.join(lib, file), 'utf8');
    const compacted = compact(source);
    t.true(compacted.length < source.length, file);
    t.notRegex(compacted, /^\/[/*]/m, file);
    t.deepEqual(tokensOf(compacted), tokensOf(source), file);
  }
});

test('what looks like a comment or an indentation stays in a template', (t) => {
  const source = [
    '/**',
    ' * One.',
    ' */',
    'f(`',
    '  // two',
    '',
    '  `,',
    '  // Three.',
    '  4);',
    '',
  ];
  t.is(compact(source.join('\n')), 'f(`\n  // two\n\n  `,\n4);\n');
});

test('a file that loads modules loads joined ones, but no other file is touched', (t) => {
  const isJoined = (name) => name === 'lib/a.js';
  const source = "require('./lib/a.js')(require('./preload.js'), require('node:net'));";
  const wanted =
    "require('./chunks/first.js')('lib/a.js')(require('./preload.js'), require('node:net'));";
  t.is(redirect(source, 'index.js', 'chunks/first.js', isJoined), wanted);
  const inside = "require('../a.js'), require('./b.js');";
  const shared = "require('../../chunks/first.js')('lib/a.js'), require('./b.js');";
  t.is(redirect(inside, 'lib/cli/c.js', 'chunks/first.js', isJoined), shared);
});

test('the command of the package supervises by the modules of the package', (t) => {
  const directory = makeRunnable(path.join(temporaryDirectory(t), 'package'));
  const server = path.join(directory, 'server.js');
  fs.writeFileSync(server, "require('node:net').createServer().listen(0);");
  const args = [path.join(directory, 'bin/rs-cluster.js'), 'check', server];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  t.regex(stdout, /^ready after /, stderr);
});
