'use strict';

// `ipc.js IMPLEMENTATION CASE`: sends messages to workers and gets their answers, first to warm
// up, then measured; CASE is JSON, see scenarios/ipc.js. Prints a JSON line: the messages in the measured
// time, how long that was, and the CPU time that they took, in microseconds, for the primary and for all
// workers together. An answer that is wrong or missing is an error.

const { once } = require('node:events');
const { writeSync } = require('node:fs');
const { performance } = require('node:perf_hooks');
const { inspect, isDeepStrictEqual } = require('node:util');
const MESSAGES = require('./parts/ipc-messages.js');

const [, , implementation, settings] = process.argv;
const cluster = require(implementation);
const { pattern, message, serialization, inFlight, workers, warmUpSeconds, seconds } =
  JSON.parse(settings);

function fail(reason) {
  writeSync(process.stderr.fd, `${reason}\n`);
  process.exit(1);
}

function excerptOf(value) {
  return inspect(value, { maxStringLength: 80 });
}

function surprise(_worker, answer) {
  fail(`an unexpected answer: ${excerptOf(answer)}`);
}

/** Gets every message of the workers. */
let receive = surprise;

/** Keeps so many messages in flight to the worker and back, then waits for the last. */
function echo([worker], content, milliseconds) {
  return new Promise((resolve) => {
    const start = performance.now();
    let sent = 0;
    let done = 0;
    const send = () => {
      sent += 1;
      worker.send(content);
    };
    receive = (_worker, answer) => {
      done += 1;
      const duration = performance.now() - start;
      if (duration < milliseconds) {
        send();
      } else if (done === sent) {
        receive = surprise;
        resolve({ sent, messages: sent, duration, last: answer });
      }
    };
    while (sent < inFlight) send();
  });
}

/** Sends to all workers, and again when all have answered. */
function broadcast(all, content, milliseconds) {
  return new Promise((resolve) => {
    const start = performance.now();
    let sent = 0;
    let answers = 0;
    const send = () => {
      sent += 1;
      answers = 0;
      for (const worker of all) worker.send(content);
    };
    receive = (_worker, answer) => {
      answers += 1;
      if (answers < all.length) return;
      const duration = performance.now() - start;
      if (duration < milliseconds) {
        send();
      } else {
        receive = surprise;
        resolve({ sent, messages: sent * all.length, duration, last: answer });
      }
    };
    send();
  });
}

/** The next message from each worker. */
function gather(all) {
  return new Promise((resolve) => {
    const gathered = new Map();
    receive = (worker, answer) => {
      if (gathered.has(worker)) surprise(worker, answer);
      gathered.set(worker, answer);
      if (gathered.size < all.length) return;
      receive = surprise;
      resolve([...gathered.values()]);
    };
  });
}

const PATTERNS = {
  burst: { send: echo, answers: 'echo' },
  one: { send: echo, answers: 'echo' },
  broadcast: { send: broadcast, answers: 'count' },
};

const EXPECTED = {
  echo: (content) => content,
  count: (_content, total) => total,
};

async function start(answers) {
  cluster.setupPrimary({
    exec: require.resolve('./parts/ipc-worker.js'),
    args: [answers],
    serialization,
  });
  cluster.on('exit', (_worker, code, signal) => {
    fail(`a worker ended with ${signal ?? `exit code ${code}`}`);
  });
  const all = Array.from({ length: workers }, () => cluster.fork());
  for (const worker of all) worker.on('message', (answer) => receive(worker, answer));
  await gather(all);
  return all;
}

function ask(all, report) {
  const reports = gather(all);
  for (const worker of all) worker.send({ report });
  return reports;
}

/** Ends the workers, and waits for them, so that their processor time counts as this process's. */
async function end(all) {
  cluster.removeAllListeners('exit');
  const ended = all.map((worker) => once(worker, 'exit'));
  for (const worker of all) worker.process.kill('SIGKILL');
  await Promise.all(ended);
  process.exit();
}

function sumOf(usages) {
  return usages.reduce((sum, { user, system }) => sum + user + system, 0);
}

function expect(what, actual, expected) {
  if (isDeepStrictEqual(actual, expected)) return;
  fail(`${what} is ${excerptOf(actual)}, not ${excerptOf(expected)}`);
}

/**
 * Checks that no message was lost, duplicated or changed; `total` is how many each worker was sent so far.
 */
async function check(all, content, lastAnswer, total) {
  expect('the last answer', lastAnswer, EXPECTED[PATTERNS[pattern].answers](content, total));
  for (const { received, last } of await ask(all, 'received')) {
    expect('the number of messages that a worker received', received, total);
    expect('the last message that a worker received', last, content);
  }
}

async function main() {
  const { send, answers } = PATTERNS[pattern];
  const content = MESSAGES[message];
  const all = await start(answers);
  const warmUp = await send(all, content, warmUpSeconds * 1000);
  await check(all, content, warmUp.last, warmUp.sent);

  const workersBefore = sumOf(await ask(all, 'cpu'));
  const before = process.cpuUsage();
  const measured = await send(all, content, seconds * 1000);
  const primaryCpu = sumOf([process.cpuUsage(before)]);
  const workersCpu = sumOf(await ask(all, 'cpu')) - workersBefore;
  await check(all, content, measured.last, warmUp.sent + measured.sent);

  const { messages, sent, duration } = measured;
  const result = { messages, rate: (sent / duration) * 1000, primaryCpu, workersCpu };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => end(all));
}

main();
