'use strict';

// npm run fuzz -- [TARGET…] [options]: builds the targets of fuzz/, and runs them by libFuzzer, one after the
// other, from the corpus in the repository. It needs only Rust and a C++ compiler; replaying the corpus needs
// only Rust.

const { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { runCommand } = require('../tools/command.js');
const { parse, positiveInteger } = require('../tools/options.js');
const { describeEnd, keepTail } = require('../tools/output.js');
const { startProcess } = require('../tools/processes.js');
const { runTool } = require('../tools/run-tool.js');
const { hostTarget } = require('../tools/rust-host.js');
const { UserError } = require('../tools/user-error.js');

const ROOT = path.join(__dirname, '..');
const FUZZ = path.join(ROOT, 'fuzz');
const MANIFEST = path.join(FUZZ, 'Cargo.toml');
const BUILT = path.join(ROOT, 'target');
// What a run finds, by target; `cargo clean` removes it.
const FOUND = path.join(BUILT, 'fuzz-corpus');
const FRESH = path.join(BUILT, 'fuzz-corpus-fresh');

// The flags of cargo-fuzz, without those of a sanitizer, which would need a nightly compiler.
const FLAGS = [
  '--cfg=fuzzing',
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Ccodegen-units=1',
];

// One input takes milliseconds; the rest is for a busy machine.
const TIMEOUT = 60;
const LIMITS = [`-timeout=${TIMEOUT}`, '-rss_limit_mb=1024'];

const USAGE = `npm run fuzz -- [TARGET…] [options]

Runs the targets of fuzz/, or those given.

  --seconds N  for each target, 20 unless given
  --keep       then put what was found into the repository's corpus, and take out what adds nothing
  --replay     only run what is in the repository's corpus, each input once
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
    replay: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  });
  const known = allTargets();
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown) throw new UserError(`No target "${unknown}". There is: ${known.join(', ')}.`);
  const targets = positionals.length > 0 ? positionals : known;
  if (values.replay && values.keep) throw new UserError('--replay and --keep exclude each other.');
  return { ...values, seconds: positiveInteger('seconds', values.seconds), targets };
}

async function cargoBuild(options, env) {
  const args = ['build', '--locked', '--manifest-path', MANIFEST, ...options];
  await runTool('cargo', args, { env: { ...env, CARGO_TARGET_DIR: BUILT } });
}

/** Builds the targets; resolves to the folder of the programs. */
async function build() {
  const missing = 'libFuzzer needs a C++ compiler; on Debian: apt-get install g++';
  await runTool('c++', ['--version'], { missing });
  const host = await hostTarget();
  const env = { ...process.env, RUSTFLAGS: FLAGS.join(' ') };
  delete env.CARGO_ENCODED_RUSTFLAGS;
  // With --target, the flags are not for build scripts. The profile is in the Cargo.toml of the workspace.
  await cargoBuild(['--profile', 'fuzz', '--target', host], env);
  return path.join(BUILT, host, 'fuzz');
}

/** Builds the targets without libFuzzer: such a program runs one input. */
async function buildReplay() {
  await cargoBuild(['--no-default-features'], process.env);
  return path.join(BUILT, 'debug');
}

function folder(...names) {
  const directory = path.join(...names);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Resolves to a summary of libFuzzer's last line; rejects with its report if it has found something. */
function fuzz(program, target, seconds) {
  const found = folder(FOUND, target);
  const artifacts = `${folder(FUZZ, 'artifacts', target)}${path.sep}`;
  const args = [`-max_total_time=${seconds}`, `-artifact_prefix=${artifacts}`, ...LIMITS];
  // It adds to the first folder, and only reads the other.
  args.push(found, folder(FUZZ, 'corpus', target));
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

/** Makes a small corpus that reaches all code that was reached. */
async function keep(program, target) {
  const corpus = folder(FUZZ, 'corpus', target);
  rmSync(path.join(FRESH, target), { recursive: true, force: true });
  const fresh = folder(FRESH, target);
  await runTool(program, [
    '-set_cover_merge=1',
    '-use_counters=0',
    fresh,
    folder(FOUND, target),
    corpus,
  ]);
  rmSync(corpus, { recursive: true });
  renameSync(fresh, corpus);
}

/** Resolves to the number of inputs; rejects with the first one that fails. */
async function replay(program, target) {
  const corpus = folder(FUZZ, 'corpus', target);
  const inputs = readdirSync(corpus);
  const place = path.relative('', corpus);
  if (inputs.length === 0) throw new UserError(`${target}: no inputs in ${place}`);
  for (const input of inputs) {
    await runTool(program, [path.join(corpus, input)], { limit: TIMEOUT * 1000 });
  }
  return `${target}: ${inputs.length} inputs replayed, none failed`;
}

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const programs = await (options.replay ? buildReplay() : build());
  for (const target of options.targets) {
    const program = path.join(programs, target);
    if (options.replay) {
      process.stdout.write(`${await replay(program, target)}\n`);
      continue;
    }
    process.stdout.write(`${await fuzz(program, target, options.seconds)}\n`);
    if (options.keep) await keep(program, target);
  }
  return 0;
}

runCommand(main);
