'use strict';

// npm run parity -- [options]: runs random programs under node:cluster and under rs-cluster. No process of a
// program ever outlives this one (see ../tools/processes.js).

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { runCommand } = require('../tools/command.js');
const { findNode } = require('../tools/node-binary.js');
const { generate } = require('./lib/generate.js');
const { Judge } = require('./lib/judge.js');
const { USAGE, parseOptions } = require('./lib/options.js');
const { toProgram, toSource } = require('./lib/source.js');

const PROGRAMS = path.join(__dirname, '..', '.cache', 'parity');

function say(text) {
  process.stdout.write(text);
}

function indent(text, by = '    | ') {
  return text.replace(/^/gm, by);
}

/** Resolves to whether all programs have passed. */
async function runOn(node, { seed, programs, jobs, limit, implementation }) {
  const start = performance.now();
  const last = seed + programs - 1;
  say(`Node ${node.version}: programs ${seed} to ${last}, ${jobs} at a time\n`);
  const judge = new Judge(implementation, { node, limit });
  const failed = [];
  let next = seed;
  const work = async (slot) => {
    while (next <= last) {
      const current = next;
      next += 1;
      const verdict = await judge.judge(generate(current), slot);
      if (verdict.differences.length > 0) failed.push({ seed: current, ...verdict });
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, slot) => work(slot)));
  for (const it of failed) await explain(judge, it);
  say(
    `  took ${Math.round((performance.now() - start) / 1000)} s; ${judge.masked} differed under node:cluster itself\n`,
  );
  say(`${programs - failed.length} passed, ${failed.length} failed\n`);
  return failed.length === 0;
}

/** Prints the smallest program that shows the same difference. */
async function explain(judge, { seed, statements, differences }) {
  const { smallest, found } = await judge.minimize(statements, differences);
  say(`program ${seed} differs:\n`);
  for (const { stream, expected, actual } of found) {
    say(`  ${stream}\n    node:cluster\n${indent(expected)}\n    rs-cluster\n${indent(actual)}\n`);
  }
  mkdirSync(PROGRAMS, { recursive: true });
  const file = path.join(PROGRAMS, `${seed}.js`);
  writeFileSync(file, toSource(smallest));
  say(`  ${smallest.length} of its ${statements.length} statements do; ${file} runs by itself:\n`);
  say(`${indent(toProgram(smallest))}\n`);
}

async function main(argv) {
  const options = parseOptions(argv);
  if (options.help) {
    say(USAGE);
    return 0;
  }
  if (options.print) {
    for (let index = 0; index < options.programs; index += 1) {
      say(toSource(generate(options.seed + index)));
    }
    return 0;
  }
  let isFine = true;
  for (const wanted of options.node)
    isFine = (await runOn(await findNode(wanted), options)) && isFine;
  return isFine ? 0 : 1;
}

runCommand(main);
