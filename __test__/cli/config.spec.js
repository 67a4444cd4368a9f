'use strict';

const { writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { loadConfig } = require('../../lib/cli/config');
const { temporaryDirectory } = require('../helpers/temporary');

/** The path of a file with this content. */
function fileWith(t, name, text) {
  const file = path.join(temporaryDirectory(t), name);
  writeFileSync(file, text);
  return file;
}

const OBJECT =
  '{ "program": "server.js", "args": ["--port", "8000"], "workers": 2, "policy": "reuse-port" }';
const LOADED = {
  program: 'server.js',
  args: ['--port', '8000'],
  options: { exec: 'server.js', args: ['--port', '8000'], workers: 2 },
  slotEnv: [],
  policy: 'reuse-port',
  warnings: [],
};

for (const [kind, name, text] of [
  ['a JSON file', 'rs-cluster.json', OBJECT],
  ['a JSON file with a byte order mark', 'rs-cluster.json', `\uFEFF${OBJECT}`],
  [
    'a JSON file with comments, plain names and commas at the end',
    'rs-cluster.json',
    `// ours\n{ program: 'server.js', /* two */ args: ['--port', '8000',],\n workers: 2, policy: 'reuse-port' } // end`,
  ],
  ['a CommonJS module', 'rs-cluster.config.cjs', `module.exports = ${OBJECT};`],
  ['a .js file', 'rs-cluster.config.js', `module.exports = ${OBJECT};`],
  ['an ES module', 'rs-cluster.config.mjs', `export default ${OBJECT};`],
  [
    'an ES module with exports by name',
    'rs-cluster.config.mjs',
    `export const { program, args, workers, policy } = ${OBJECT};`,
  ],
  [
    'a transpiled module',
    'rs-cluster.config.js',
    `exports.__esModule = true; exports.default = ${OBJECT};`,
  ],
  ['a function', 'rs-cluster.config.js', `module.exports = () => (${OBJECT});`],
  ['an asynchronous function', 'rs-cluster.config.mjs', `export default async () => (${OBJECT});`],
]) {
  test(`${kind} is loaded`, async (t) => {
    t.deepEqual(await loadConfig(fileWith(t, name, text)), LOADED);
  });
}

test('exec is another name of program', async (t) => {
  const file = fileWith(t, 'rs-cluster.json', '{ "exec": "server.js" }');
  const { program, options } = await loadConfig(file);
  t.is(program, 'server.js');
  t.deepEqual(options, { exec: 'server.js' });
});

test('a file may leave the program to the command line', async (t) => {
  const { program, options } = await loadConfig(fileWith(t, 'c.json', '{ "workers": 2 }'));
  t.is(program, undefined);
  t.deepEqual(options, { workers: 2 });
});

test('a function gets the name that --env gives', async (t) => {
  const text = 'module.exports = (env) => ({ program: env + ".js" });';
  const file = fileWith(t, 'rs-cluster.config.js', text);
  const { program, warnings } = await loadConfig(file, { env: 'production' });
  t.is(program, 'production.js');
  t.deepEqual(warnings, []);
});

test("--only and --env have no effect on an object of rs-cluster's own", async (t) => {
  const file = fileWith(t, 'c.json', '{ "program": "server.js" }');
  const { warnings } = await loadConfig(file, { only: 'api', env: 'production' });
  t.deepEqual(warnings, [
    `--only api: ${file} has no list of applications`,
    `--env production: ${file} would have to export a function, which gets this name`,
  ]);
});

for (const [title, name, text, message, hint] of [
  ['YAML', 'ecosystem.yml', 'apps: []', /YAML is not supported$/, /^Convert it: npx js-yaml /],
  ['an unknown extension', 'a.toml', '', /a configuration file ends in \.json, \.js/],
  [
    'text that is not JSON',
    'a.json',
    '{\n"apps": [ }',
    /a\.json: line 2: SyntaxError: Unexpected token/,
  ],
  [
    'an expression that never ends',
    'a.json',
    '(() => { for (;;); })()',
    /a\.json: Error: Script execution timed out/,
  ],
  [
    'an expression that reaches for Node',
    'a.json',
    'process.env',
    /a\.json: ReferenceError: process is not defined/,
  ],
  [
    'a syntax error',
    'a.config.js',
    '\n\nmodule.exports = {,};',
    /line 3: SyntaxError: Unexpected token/,
  ],
  ['an error of the file', 'a.config.js', 'throw new Error("no");', /a\.config\.js: Error: no$/],
  ['a missing module', 'a.config.js', 'require("./gone");', /Error: Cannot find module '\.\/gone'/],
  [
    'an error of its function',
    'a.config.js',
    'module.exports = () => { throw 1; };',
    /it throws 1$/,
  ],
  [
    'an import in a CommonJS module',
    'a.config.cjs',
    'import fs from "node:fs";',
    /line 1: SyntaxError: /,
    /extension \.mjs$/,
  ],
  [
    'an unknown option',
    'a.json',
    '{ "worker": 1 }',
    /a\.json: there is no option worker$/,
    /^Did you mean workers\?$/,
  ],
  [
    'an option of the command',
    'a.json',
    '{ "prefix": true }',
    /there is no option prefix$/,
    /^It belongs to the command line: --prefix$/,
  ],
  [
    'no object',
    'a.config.js',
    'module.exports = "server.js";',
    /export an object, not "server\.js"$/,
  ],
  ['null', 'a.json', 'null', /export an object, not null$/],
  [
    'a program of the wrong type',
    'a.json',
    '{ "program": 1 }',
    /program: 1 is not the path of a file$/,
  ],
]) {
  test(`${title} is an error of one line`, async (t) => {
    const error = await t.throwsAsync(loadConfig(fileWith(t, name, text)), { message });
    t.is(error.exitCode, 2);
    t.false(error.message.includes('\n'));
    if (hint) t.regex(error.hint, hint);
  });
}

test('a file that does not exist is named as it was given', async (t) => {
  await t.throwsAsync(loadConfig('gone/ecosystem.config.js'), {
    message: 'gone/ecosystem.config.js: there is no such file',
  });
  const directory = temporaryDirectory(t);
  await t.throwsAsync(loadConfig(directory), { message: `${directory}: not a file` });
});
