'use strict';

// npm run freeze: packs what this release consists of, as sources, for the tests of later ones: a primary of an earlier
// release must be able to upgrade to this one, and back. `__test__/helpers/frozen.js` builds it.

const { execFileSync } = require('node:child_process');
const { existsSync, mkdirSync, readdirSync, rmSync, statSync } = require('node:fs');
const path = require('node:path');
const { runCommand } = require('../tools/command.js');
const { parse } = require('../tools/options.js');
const { UserError } = require('../tools/user-error.js');
const { FROZEN, build } = require('../__test__/helpers/frozen.js');

const ROOT = path.join(__dirname, '..');
// Cargo reads the other packages of the workspace too, and benches/, before it compiles anything.
const SOURCES = [
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  'src',
  'benches',
  'bench/load',
  'fuzz/Cargo.toml',
  'fuzz/fuzz_targets',
  'fuzz/src',
  '.cargo',
];

const USAGE = `npm run freeze -- [options]

Packs the sources of a release into __test__/frozen/VERSION.tar.gz.

  --commit COMMIT  HEAD by default
  --force          replaces the archive of the same version
  --build          packs nothing; builds what the archives have, where that has not been done yet
  --help
`;

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  } catch (error) {
    throw new UserError(`git ${args.join(' ')}: ${error.message}`);
  }
}

/** The paths that the packages have, and what builds them, as far as the commit has them. */
function pathsOf(commit, { files }) {
  const packed = files.map((pattern) => pattern.replace(/\/?\*.*$/, ''));
  const wanted = ['package.json', 'LICENSE', ...packed, ...SOURCES];
  const present = git('ls-tree', '-r', '--name-only', commit).split('\n');
  const isThere = (it) => present.some((name) => name === it || name.startsWith(`${it}/`));
  return [...new Set(wanted)].filter(isThere);
}

function freeze({ commit, force }) {
  const manifest = JSON.parse(git('show', `${commit}:package.json`));
  const archive = path.join(FROZEN, `${manifest.version}.tar.gz`);
  if (existsSync(archive) && !force) {
    throw new UserError(`${archive} is there already: --force replaces it.`);
  }
  mkdirSync(FROZEN, { recursive: true });
  rmSync(archive, { force: true });
  const options = ['--format=tar.gz', '-9', `--output=${archive}`];
  git('archive', ...options, commit, '--', ...pathsOf(commit, manifest));
  const name = path.relative(ROOT, archive);
  process.stdout.write(`${name}: ${Math.ceil(statSync(archive).size / 1024)} KiB\n`);
}

async function buildAll() {
  const archives = existsSync(FROZEN) ? readdirSync(FROZEN) : [];
  for (const name of archives.filter((it) => it.endsWith('.tar.gz'))) {
    const begun = performance.now();
    const directory = await build(path.join(FROZEN, name));
    const seconds = Math.round((performance.now() - begun) / 1000);
    process.stderr.write(`${name}: ${directory}, after ${seconds} s\n`);
  }
}

async function main(argv) {
  const { values } = parse(argv, {
    commit: { type: 'string', default: 'HEAD' },
    force: { type: 'boolean', default: false },
    build: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
  if (values.help) process.stdout.write(USAGE);
  else if (values.build) await buildAll();
  else freeze(values);
  return 0;
}

runCommand(main);
