'use strict';

// Compares with PM2 itself, which npm fetches.

const { copyFileSync, mkdirSync, readdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { loadConfig } = require('../../lib/cli/config');
const { UNUSED, USED, isNamedEnvironment, nameOf } = require('../../lib/cli/ecosystem-fields');
const supervisionOf = require('../../lib/cli/ecosystem-options');
const { toWords } = require('../../lib/cli/ecosystem-values');
const { fetchPackage } = require('../../tools/package');
const { temporaryDirectory } = require('../helpers/temporary');

/** The directory of the package. */
let pm2;
const load = (name) => require(path.join(pm2, name));

test.before('npm fetches PM2', async (t) => {
  t.timeout(300_000);
  pm2 = await fetchPackage('pm2@7');
});

test("each field of PM2's schema, and each alias, is known by the same name", (t) => {
  const { schema } = load('lib/tools/Config.js');
  const fields = Object.entries(schema).filter(([name]) => !name.includes('\\'));
  t.true(fields.length > 60);
  for (const [name, { alias }] of fields) {
    t.is(nameOf(name), name);
    for (const other of alias) t.is(nameOf(other), name);
  }
});

test('a field of PM2 is either used, or named in a warning', (t) => {
  const { schema } = load('lib/tools/Config.js');
  const names = Object.keys(schema).filter((name) => !name.includes('\\'));
  t.deepEqual(Object.keys({ ...USED, ...UNUSED }).sort(), names.sort());
  t.deepEqual(
    Object.keys(USED).filter((name) => name in UNUSED),
    [],
  );
  const [pattern] = Object.keys(schema).filter((name) => name.includes('\\'));
  for (const name of ['env_production', 'env_', 'env', 'environment', 'env_a b']) {
    t.is(isNamedEnvironment(name), new RegExp(pattern).test(name));
  }
});

const TEXTS = [
  '--port 8000 -v',
  `a "b c" 'd e'`,
  `--x="a b" --y='c d' z`,
  `--x = "a b"`,
  `a"b c"d`,
  `"unended a`,
  `it's a`,
  `"" ''  a`,
  `'--toto=heya coco', '-d', '1'`,
  `["--a", "b c"]`,
  `a=b="c d" e`,
  '   ',
  'a\tb\nc',
];

test('arguments are split as PM2 splits them', (t) => {
  const { validateJSON } = load('lib/tools/Config.js');
  const Config = load('lib/tools/Config.js');
  for (const args of TEXTS) {
    const { config, errors } = validateJSON.call(Config, { script: 'app.js', args });
    t.deepEqual(errors, []);
    t.deepEqual(toWords(args), config.args, args);
  }
});

test('sizes and times have the values that PM2 gives them', (t) => {
  const Config = load('lib/tools/Config.js');
  const values = [
    ...['300M', '1G', '2000K', '160', 4096].map((max_memory_restart) => ({ max_memory_restart })),
    ...['10s', '5s', '200', 1500].map((min_uptime) => ({ min_uptime })),
  ];
  for (const fields of values) {
    const { config } = Config.validateJSON({ script: 'app.js', ...fields });
    const { maxMemory, minUptime } = supervisionOf(fields, () => {});
    t.is(maxMemory, config.max_memory_restart);
    t.is(minUptime, config.min_uptime);
  }
});

test("PM2's templates of the file are accepted", async (t) => {
  const folder = path.join(pm2, 'lib', 'templates');
  const templates = readdirSync(folder).filter((name) => /^ecosystem.*\.tpl$/.test(name));
  t.true(templates.length > 0);
  for (const template of templates) {
    const directory = temporaryDirectory(t);
    const name = `template.${template.includes('-es') ? 'mjs' : 'cjs'}`;
    copyFileSync(path.join(folder, template), path.join(directory, name));
    // The scripts are relative to the working directory, which is not that of the file here.
    const file = path.join(directory, 'ecosystem.config.mjs');
    writeFileSync(
      file,
      `import config from './${name}';
      const apps = config.apps.map((app) => ({ ...app, cwd: '${directory}' }));
      export default { ...config, apps };\n`,
    );
    for (const { script, name: only = path.parse(script).name } of await applicationsOf(file)) {
      const program = path.join(directory, script);
      mkdirSync(path.dirname(program), { recursive: true });
      if (script.endsWith('/')) mkdirSync(program, { recursive: true });
      else writeFileSync(program, '');
      const config = await loadConfig(file, { only });
      t.is(config.program, path.resolve(program));
      t.true(config.warnings.every((warning) => /^(watch|deploy): /.test(warning)));
    }
  }
});

async function applicationsOf(file) {
  const { default: config } = await import(file);
  return config.apps;
}
