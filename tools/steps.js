'use strict';

// Steps of a check: commands that run one after the other in the user's sight, and the line that each test
// runner prints last, which tells how much it has tested.

const { spawn } = require('node:child_process');
const readline = require('node:readline');
const { stripVTControlCharacters } = require('node:util');
const { UserError } = require('./user-error.js');

/**
 * @typedef {object} Runner
 * @property {string} name
 * @property {RegExp} line matches its closing lines; the first group is how many tests there were
 * @property {number} [times] how often it runs in the step, 1 unless given
 *
 * @typedef {object} Step
 * @property {string[]} command the program and its arguments
 * @property {Runner[]} [runners] those that run in it
 */

/** Runs a step to its end; resolves to the closing lines of its runners, by runner. */
function runStep({ command, runners = [] }) {
  const [program, ...args] = command;
  const kept = new Map(runners.map((runner) => [runner, []]));
  const keep = (text) => {
    const line = stripVTControlCharacters(text);
    for (const [runner, lines] of kept) if (runner.line.test(line)) lines.push(line);
  };
  // In the group of this process, so that an interrupt from the terminal reaches both.
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => child.kill();
  process.once('exit', end);
  for (const name of ['stdout', 'stderr']) {
    child[name].pipe(process[name], { end: false });
    readline.createInterface({ input: child[name] }).on('line', keep);
  }
  return new Promise((resolve) => {
    const finish = (failure) => {
      process.removeListener('exit', end);
      resolve({ kept, failure });
    };
    child.once('error', ({ message }) => finish(message));
    child.once('close', (code, signal) => {
      finish(code === 0 ? undefined : (signal ?? `exit code ${code}`));
    });
  });
}

/** What is wrong with a step that ended well: a runner that has tested nothing, or has not run. */
function findMissing(kept) {
  for (const [{ name, line, times = 1 }, lines] of kept) {
    const ran = lines.filter((text) => Number(line.exec(text)[1]) > 0).length;
    if (ran < times) {
      return `${name} should report ${times} times that it has tested something, and did ${ran} times`;
    }
  }
  return undefined;
}

/**
 * Runs all steps, up to the first that fails or whose runners have tested nothing. Then prints the closing
 * lines. Rejects if a step has failed.
 *
 * @param {Step[]} steps
 */
async function runSteps(steps) {
  const closing = [];
  let problem;
  for (const step of steps) {
    const { kept, failure } = await runStep(step);
    closing.push(...[...kept.values()].flat());
    const reason = failure ?? findMissing(kept);
    if (reason !== undefined) {
      problem = `${step.command.join(' ')}: ${reason}`;
      break;
    }
  }
  process.stdout.write(`\n${closing.map((line) => `${line}\n`).join('')}`);
  if (problem !== undefined) throw new UserError(problem);
}

module.exports = { runSteps };
