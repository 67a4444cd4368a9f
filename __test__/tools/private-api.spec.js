'use strict';

// Node's private API is used in lib/node/ only, so that a new version of Node is checked against one folder.

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');

const ROOT = path.join(__dirname, '../..');
const FOLDER = path.join('lib', 'node');

// What is not documented, by what it is.
const PRIVATE = {
  'a member of Node that begins with an underscore':
    /\._(?!_)\w+|[{,]\s*_(?!_)\w+\s*[,:}]|['"`]_(?!_)\w+['"`]/g,
  'a symbol that Node does not export':
    /getOwnPropertySymbols|state symbol|messaging_\w+|kIsUsedAsStdio/g,
  'an internal message of Node, or the event that it is':
    /'internalMessage'|NODE_DEBUG_ENABLED|'NODE_'/g,
  'the variable that makes a process a worker': /NODE_UNIQUE_ID/g,
  'a callback or a method of a handle':
    /\bon(?:connection|exit|read)\b|\breadSt(?:op|art)\b|\bgetsockname\b/g,
  'the handle of a socket or a server': /\bhandle\.(?:fd|open|constructor)\b|\{ handle, readable/g,
  'the parser of an HTTP server': /\bunconsume\b|\bdetachSocket\b/g,
  'a class or method of ChildProcess': /\{ ChildProcess\b|\.spawn\(/g,
};
// No file may use these.
const INTERNALS =
  /process\.binding|internalBinding|--expose-internals|require\('(?:node:)?internal\//g;
// Documented, although their names begin with an underscore: https://nodejs.org/api/v8.html.
const DOCUMENTED = ['._writeHostObject', '._readHostObject'];

/** The code of each file that is published, by its path, without comments. */
function sources() {
  const names = readdirSync(path.join(ROOT, 'lib'), { recursive: true })
    .filter((name) => name.endsWith('.js'))
    .map((name) => path.join('lib', name));
  const all = ['index.js', 'index.mjs', 'preload.js', 'register.js', ...names];
  return new Map(all.map((name) => [name, codeOf(readFileSync(path.join(ROOT, name), 'utf8'))]));
}

function codeOf(text) {
  return text.replace(/^\s*\/\*\*.*?\*\/\s*$/gms, '').replace(/^\s*\/\/.*$/gm, '');
}

function uses(code, pattern) {
  return [...code.matchAll(pattern)].map(([use]) => use).filter((use) => !DOCUMENTED.includes(use));
}

const files = sources();

test('the search finds the files, and what is private in lib/node', (t) => {
  t.true(files.size > 30);
  const inFolder = [...files].filter(([name]) => path.dirname(name) === FOLDER);
  t.true(inFolder.length > 5);
  for (const [what, pattern] of Object.entries(PRIVATE)) {
    t.true(
      inFolder.some(([, code]) => uses(code, pattern).length > 0),
      what,
    );
  }
});

test('the search ignores comments, but not code beside them', (t) => {
  const code = codeOf(
    '/** socket._handle */\n  // _handle\nuse(socket._handle); // server._handle\n',
  );
  t.deepEqual(uses(code, /_handle/g), ['_handle', '_handle']);
});

for (const [what, pattern] of Object.entries(PRIVATE)) {
  test(`no file outside of lib/node uses ${what}`, (t) => {
    const offenders = [...files]
      .filter(([name]) => path.dirname(name) !== FOLDER)
      .flatMap(([name, code]) => uses(code, pattern).map((use) => `${name}: ${use.trim()}`));
    t.deepEqual(offenders, []);
  });
}

test("no file uses Node's internal modules", (t) => {
  const offenders = [...files].filter(([, code]) => uses(code, INTERNALS).length > 0);
  t.deepEqual(
    offenders.map(([name]) => name),
    [],
  );
});
