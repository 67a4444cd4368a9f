'use strict';

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const COMMANDS = require('../../lib/cli/commands');
const { ofCommand } = require('../../lib/cli/help');
const { optionsOf } = require('../../lib/cli/parse');
const { RUN_OPTIONS } = require('../../lib/cli/run-options');
const { checkOptions } = require('../../lib/supervisor/options');

const ROOT = path.join(__dirname, '../..');
const read = (name) => readFileSync(path.join(ROOT, name), 'utf8');
const reference = read('docs/cli.md');

test('the reference has a section for each command, with its help', (t) => {
  for (const name of Object.keys(COMMANDS).filter((it) => it !== 'help')) {
    const [, section] = reference.split(`\n## ${name}\n`);
    t.true(section?.includes(`\`\`\`text\n${ofCommand(COMMANDS[name]()).trimEnd()}\n\`\`\``), name);
  }
});

test('the help of a command shows each of its options', (t) => {
  for (const name of ['run', 'status', 'reload', 'stop']) {
    const text = ofCommand(COMMANDS[name]());
    const hidden = optionsOf(COMMANDS[name]())
      .map((it) => `--${it.name}`)
      .filter(
        (it) => !text.includes(it) && !['--exec-argv', '--help', '--no-systemd'].includes(it),
      );
    t.deepEqual(hidden, [], name);
  }
});

test('the reference has every code and warning of the command line', (t) => {
  const files = readdirSync(path.join(ROOT, 'lib/cli'), { recursive: true });
  const sources = files
    .filter((name) => name.endsWith('.js'))
    .map((name) => read(`lib/cli/${name}`));
  const names = sources.join('\n').match(/\bERR_RS_CLUSTER_[A-Z_]+[A-Z]\b|\b[A-Z]\w+Warning\b/g);
  t.true(new Set(names).size > 5);
  t.deepEqual(
    [...new Set(names)].filter(
      (name) => !reference.includes(name) && !read('docs/api.md').includes(name),
    ),
    [],
  );
});

test('each option of supervise() is an option of run, unless it makes no sense there', (t) => {
  const known = read('index.d.ts').match(/interface SuperviseOptions[^{]*\{(.*?)\n {2}\}/s)[1];
  const names = [...known.matchAll(/^ {4}(\w+)\?:/gm)].map(([, name]) => name);
  t.true(names.length > 20);
  const keys = RUN_OPTIONS.map(({ key, name }) => key ?? name);
  // The last is for programs that have other uses for signals.
  const others = ['env', 'signals'];
  t.deepEqual(
    names.filter((name) => !keys.includes(name) && !others.includes(name)),
    [],
  );
  const options = Object.fromEntries(
    RUN_OPTIONS.filter(({ key }) => key).map(({ key }) => [key, undefined]),
  );
  t.notThrows(() => checkOptions({ ...options, exec: 'x.js' }));
});
