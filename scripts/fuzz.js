'use strict';

// npm run fuzz -- [TARGET…] [options]: builds the targets of fuzz/ and has libFuzzer run them, one
// after the other, from the corpus in the repository. Needs nothing but Rust and a C++ compiler.

const { mkdirSync, readFileSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { runCommand } = require('../tools/command.js');
const { parse, positiveInteger } = require('../tools/options.js');
const { describeEnd, keepTail } = require('../tools/output.js');
const { startProcess } = require('../tools/processes.js');
const { runTool } = require('../tools/run-tool.js');
const { UserError } = require('../tools/user-error.js');

const FUZZ = path.join(__dirname, '..', 'fuzz');
const MANIFEST = path.join(FUZZ, 'Cargo.toml');

// As cargo-fuzz has it, without a sanitizer, which would need a nightly compiler.
const FLAGS = [
  '--cfg=fuzzing',
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Ccodegen-units=1',
];

// One input takes milliseconds; the rest is for a machine that is busy with something else.
const LIMITS = ['-timeout=60', '-rss_limit_mb=1024'];

const USAGE = `npm run fuzz -- [TARGET…] [options]

Runs the targets of fuzz/, or those given.

  --seconds N  for each target, 20 unless given
  --keep       then put what was found into the repository's corpus, and take out what adds nothing
  --help
`;

function allTargets() {
  const manifest = readFileSync(MANIFEST, 'utf8');
  return [...manifest.matchAll(/^\[\[bin\]\]\nname = "(.+)"$/gm)].map(([, name]) => name);
}

function parseOptions(argv) {
  const { values, positionals } = parse(argv, {
    seconds: { type: 'string', default: '20' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
  const known = allTargets();
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown) throw new UserError(`No target "${unknown}". There is: ${known.join(', ')}.`);
  const targets = positionals.length > 0 ? positionals : known;
  return { ...values, seconds: positiveInteger('seconds', values.seconds), targets };
}

/** Resolves to the folder of the programs. */
async function build() {
  const missing = 'libFuzzer needs a C++ compiler; on Debian: apt-get install g++';
  await runTool('c++', ['--version'], { missing });
  const [, host] = /^host: (.+)$/m.exec(await runTool('rustc', ['-vV']));
  // With --target, the flags are not for build scripts.
  const args = ['build', '--release', '--locked', '--manifest-path', MANIFEST, '--target', host];
  const targetDirectory = path.join(FUZZ, 'target');
  const env = { ...process.env, RUSTFLAGS: FLAGS.join(' '), CARGO_TARGET_DIR: targetDirectory };
  delete env.CARGO_ENCODED_RUSTFLAGS;
  await runTool('cargo', args, { env });
  return path.join(targetDirectory, host, 'release');
}

function folder(...names) {
  const directory = path.join(FUZZ, ...names);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Resolves to libFuzzer's closing line, in short; rejects with its report when it found something. */
function fuzz(program, target, seconds) {
  const found = folder('target', 'corpus', target);
  const artifacts = `${folder('artifacts', target)}${path.sep}`;
  const args = [`-max_total_time=${seconds}`, `-artifact_prefix=${artifacts}`, ...LIMITS];
  // It adds to the first folder, and only reads the other.
  args.push(found, folder('corpus', target));
  const child = startProcess(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stderr = keepTail(child.stderr);
  let line = '';
  readline.createInterface({ input: child.stderr }).on('line', (text) => {
    if (/^#\d+\s+DONE/.test(text)) line = text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const [, runs, rest] = /^#(\d+)\s+DONE\s+(.*?)\s*$/.exec(line) ?? [];
      if (code === 0 && runs) {
        resolve(`${target}: ${runs} runs in ${seconds} s, nothing found; ${rest}`);
        return;
      }
      const how = describeEnd(code, signal, stderr());
      const again = `Run it again: ${path.relative('', program)} ${path.relative('', artifacts)}/…`;
      reject(new UserError(`${target} found something: ${how}\n${again}`));
    });
  });
}

/** A small corpus that gets to all the places that were found, however often. */
async function keep(program, target) {
  const corpus = folder('corpus', target);
  rmSync(path.join(FUZZ, 'target', 'fresh', target), { recursive: true, force: true });
  const fresh = folder('target', 'fresh', target);
  await runTool(program, [
    '-set_cover_merge=1',
    '-use_counters=0',
    fresh,
    folder('target', 'corpus', target),
    corpus,
  ]);
  rmSync(corpus, { recursive: true });
  renameSync(fresh, corpus);
}

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const programs = await build();
  for (const target of options.targets) {
    const program = path.join(programs, target);
    process.stdout.write(`${await fuzz(program, target, options.seconds)}\n`);
    if (options.keep) await keep(program, target);
  }
  return 0;
}

runCommand(main);
