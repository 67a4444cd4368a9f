'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { becomesTrue, isAlive, signalGroup } = require('../../tools/process-group');
const { temporaryDirectory } = require('../helpers/temporary');

const RUNNER = path.join(__dirname, '../..', 'conformance', 'index.js');
const SOON = 10_000;

// Test files such as upstream's. Files that fail only on the engine show that the engine is in use.
const ON_ENGINE = `const onEngine = 'suicide' in require('cluster').Worker.prototype;`;
const FILES = {
  'parallel/test-cluster-passes.js': `
    const { deepEqual } = require('assert');
    const { NODE_DEBUG, NODE_TEST_DIR, NODE_COMMON_PORT, TEST_PARALLEL } = process.env;
    deepEqual([NODE_DEBUG, TEST_PARALLEL, NODE_COMMON_PORT > 0], [undefined, '1', true]);
    require('fs').writeFileSync(NODE_TEST_DIR + '/file', '');
    require('fs').appendFileSync(__dirname + '/directories', NODE_TEST_DIR + '\\n');`,
  'parallel/test-dgram-cluster-flags.js': `
    // Flags:  --expose-gc --no-warnings
    gc();`,
  'sequential/test-cluster-alone.js': `
    require('assert').equal(process.env.TEST_PARALLEL, '0');`,
  'parallel/test-cluster-fails.js': `
    ${ON_ENGINE}
    console.log('said before');
    if (onEngine) throw new Error('thrown on the engine');`,
  'parallel/test-cluster-hangs.js': `
    ${ON_ENGINE}
    require('fs').writeFileSync(__dirname + '/pid', String(process.pid));
    if (onEngine) setInterval(() => {}, 1000);`,
  'parallel/test-cluster-leaves.js': `
    ${ON_ENGINE}
    const idle = ['-e', 'setInterval(() => {}, 1000)'];
    const options = { stdio: 'ignore' };
    if (onEngine) require('child_process').spawn(process.execPath, idle, options).unref();`,
  'parallel/test-cluster-skips-on-engine.js': `
    ${ON_ENGINE}
    if (onEngine) console.log('1..0 # Skipped: no engines');`,
  'parallel/test-cluster-worker-fails.js': `
    ${ON_ENGINE}
    const cluster = require('cluster');
    if (cluster.isPrimary) for (const code of [3, 4]) cluster.fork({ CODE: code });
    else process.exit(onEngine || process.env.CODE === '3' ? Number(process.env.CODE) : 0);`,
  'parallel/test-cluster-skips.js': `
    console.log('1..0 # Skipped: not on this machine');`,
  'parallel/test-cluster-never-passes.js': `
    process.exit(3);`,
  'parallel/test-cluster-unstable.js': `
    const { existsSync, writeFileSync } = require('fs');
    const tried = __dirname + '/tried';
    const isFirst = !existsSync(tried);
    writeFileSync(tried, '');
    if (isFirst) process.exit(1);`,
  'parallel/test-cluster-accept-fail.js': `
    ${ON_ENGINE}
    if (onEngine) throw new Error('excluded, and run all the same');`,
  'parallel/test-other.js': `
    throw new Error('about something else, and run all the same');`,
  'common/index.js': '',
};

/** Makes a source tree of these files, in a folder where they may leave other files. */
function makeTree(t) {
  const tree = temporaryDirectory(t);
  for (const [name, source] of Object.entries(FILES)) {
    const file = path.join(tree, 'test', name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, source);
  }
  return tree;
}

function startRunner(t, args) {
  const env = { ...process.env, NODE_DEBUG: 'cluster' };
  const child = spawn(process.execPath, [RUNNER, ...args], { env });
  const runner = { child, stdout: '', stderr: '', closed: once(child, 'close') };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      runner[name] += text;
    });
  }
  t.teardown(() => {
    child.kill();
    if (!t.passed) t.log(runner.stdout, runner.stderr);
  });
  return runner;
}

async function run(t, ...args) {
  const runner = startRunner(t, args);
  const [code] = await runner.closed;
  return { code, lines: runner.stdout.trimEnd().split('\n'), stderr: runner.stderr };
}

test('the conformance runner reports what passes, what fails and what is left out', async (t) => {
  const { code, lines } = await run(t, makeTree(t), '--timeout', '3', '--jobs', '2');
  t.is(code, 1);
  t.is(lines.at(-1), '4 passed, 5 failed, 3 skipped');
  t.is(
    lines.at(-2),
    `Node ${process.versions.node}: 4 of 10 files that stock Node passes; excluded: test-cluster-accept-fail`,
  );
  const reasonOf = (kind, name) => {
    const prefix = `  ${kind}: parallel/test-cluster-${name}.js: `;
    return lines.find((line) => line.startsWith(prefix))?.slice(prefix.length);
  };
  t.is(reasonOf('failed in round 1', 'fails'), 'exit code 1');
  t.is(reasonOf('failed in round 1', 'hangs'), 'still ran after 3 s');
  t.regex(reasonOf('failed in round 1', 'leaves'), /^left 1 process: \d+ .*setInterval/);
  t.is(reasonOf('failed in round 1', 'skips-on-engine'), 'skips itself: no engines');
  t.is(reasonOf('failed in round 1', 'worker-fails'), 'a child process ended with exit code 4');
  t.is(reasonOf('left out', 'skips'), 'stock Node skips it: not on this machine');
  t.is(reasonOf('left out', 'never-passes'), 'stock Node fails: exit code 3');
  t.regex(reasonOf('left out', 'accept-fail'), /RoundRobinHandle/);
  for (const said of ['said before', 'Error: thrown on the engine']) {
    t.true(lines.includes(`    | ${said}`), said);
  }
});

test('the conformance runner succeeds if all files pass in all rounds', async (t) => {
  const tree = makeTree(t);
  const pattern = 'cluster-(passes|flags|alone)$';
  const { code, lines } = await run(t, tree, '--only', pattern, '--rounds', '2', '--load');
  t.is(code, 0);
  t.is(lines.at(-1), '3 passed, 0 failed, 0 skipped');
  const directories = readFileSync(path.join(tree, 'test/parallel/directories'), 'utf8');
  const used = directories.trimEnd().split('\n');
  t.is(new Set(used).size, 3, 'one for each run of the file, with stock Node once');
  t.deepEqual(used.filter(existsSync), []);
});

test('the conformance runner fails if it has nothing to run', async (t) => {
  const { code, lines } = await run(t, makeTree(t), '--only', 'skips$');
  t.is(code, 1);
  t.is(lines.at(-1), '0 passed, 0 failed, 1 skipped');
});

test('the conformance runner says what is wrong with its arguments', async (t) => {
  const empty = temporaryDirectory(t);
  for (const [args, expected] of [
    [[empty], `${empty} is not a Node source tree: it has no test/common.\n`],
    [[empty, '--rounds', '0'], '--rounds must be a whole number from 1, not "0".\n'],
    [[empty, empty], `One directory at a time, not "${empty} ${empty}".\n`],
  ]) {
    const { code, stderr } = await run(t, ...args);
    t.is(code, 1);
    t.is(stderr, expected);
  }
  const { stderr } = await run(t, makeTree(t), '--node', path.join(empty, 'node'));
  t.regex(stderr, /^--node .*ENOENT\n$/);
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`the conformance runner leaves no busy process behind on ${signal}`, async (t) => {
    const tree = makeTree(t);
    const runner = startRunner(t, [tree, '--only', 'hangs$', '--load']);
    t.true(await becomesTrue(() => runner.stdout.includes('stock Node took'), SOON));
    const file = path.join(tree, 'test/parallel/pid');
    const stock = readFileSync(file, 'utf8');
    // The file is empty for a moment while it is written.
    const written = () => Number(readFileSync(file, 'utf8'));
    t.true(await becomesTrue(() => written() > 0 && written() !== Number(stock), SOON));
    const pid = written();
    t.teardown(() => signalGroup(pid, 'SIGKILL'));
    const children = childrenOf(runner.child.pid).filter((child) => child !== pid);
    t.true(children.length > 0);

    runner.child.kill(signal);
    await runner.closed;
    t.true(await becomesTrue(() => !children.some(isAlive), SOON));
    // The process has been killed by now, and is dead as soon as it gets a processor.
    if (signal === 'SIGTERM') t.true(await becomesTrue(() => !isAlive(pid), SOON), 'nor the test');
  });
}

function childrenOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}
