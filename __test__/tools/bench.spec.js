'use strict';

const { execFile, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');
const test = require('ava');
const {
  describeProcessors,
  isDisturbed,
  otherLoadBetween,
} = require('../../bench/lib/disturbance');
const { describeFailures } = require('../../bench/lib/failing');
const { drawFlameGraph, parseStacks } = require('../../bench/lib/flame-graph');
const times = require('../../bench/lib/process-times');
const { interleave } = require('../../bench/lib/rounds');
const { compareRounds } = require('../../bench/lib/statistics');
const { countCalls } = require('../../bench/lib/system-calls');
const { UserError } = require('../../tools/user-error');
const { temporaryDirectory } = require('../helpers/temporary');

const BENCH = path.join(__dirname, '..', '..', 'bench', 'index.js');

const STAT = `cpu  500 20 300 4000 200 30 70 5 0 0
cpu0 250 10 150 2000 100 15 35 3 0 0
cpu1 250 10 150 2000 100 15 35 2 0 0
intr 2113096 0 0
`;

test('idle time is read, with that of interrupts where it is of no process', (t) => {
  t.is(times.idleSeconds(STAT, false), 42);
  t.is(times.idleSeconds(STAT, true), 43);
  t.is(times.processorsOf(STAT), 2);
});

test('the time of a process and of its former children is read, whatever its name is', (t) => {
  const fields = 'S 7 8 8 0 -1 4194560 1 2 3 4 150 50 25 75 20 0';
  t.deepEqual(times.parseStat(`9 (a) b (c) ${fields}`), { parent: 7, seconds: 3 });
});

test('a run has the time of its descendants, and of marked processes with theirs', (t) => {
  const processes = new Map([
    [1, { parent: 0, seconds: 1_000 }],
    [10, { parent: 1, seconds: 1 }],
    [11, { parent: 10, seconds: 2 }],
    [12, { parent: 11, seconds: 4 }],
    [20, { parent: 1, seconds: 8 }],
    [21, { parent: 20, seconds: 16 }],
    [30, { parent: 1, seconds: 32 }],
    [31, { parent: 30, seconds: 64 }],
  ]);
  const isMarked = (pid) => pid === 20;
  t.is(times.secondsOfRun(processes, 10, isMarked), 31);
});

test('other load is what is neither idle nor of the run', (t) => {
  const before = { at: 100, processors: 2, idle: 50, own: 7 };
  const after = { at: 104, processors: 2, idle: 51, own: 11 };
  t.is(otherLoadBetween(before, after), 0.75);
  t.is(otherLoadBetween(before, { ...after, own: 20 }), 0);
  t.is(otherLoadBetween(undefined, undefined), null);
});

test('a round is disturbed by a load above 0.5, and on a single processor', (t) => {
  t.false(isDisturbed(0.5, 2));
  t.true(isDisturbed(0.51, 2));
  t.false(isDisturbed(null, 2));
  t.true(isDisturbed(0, 1));
  t.deepEqual(describeProcessors(2), []);
  t.regex(describeProcessors(1).join(), /1 processor .*do not trust/);
});

test('the median is of the rounds that have not failed, and tells how many were disturbed', (t) => {
  const failed = { failure: 'why' };
  const rounds = [{ time: 2 }, failed, { time: 6, disturbed: true }, { time: 4 }];
  const baseline = [{ time: 1 }, { time: 1 }, { time: 2 }, failed];
  t.deepEqual(compareRounds(rounds, baseline, 'time'), {
    median: 4,
    min: 2,
    max: 6,
    ratio: { median: 2.5, min: 2, max: 3 },
    disturbed: 1,
  });
  t.deepEqual(compareRounds([failed], baseline, 'time'), { ratio: null });
});

test('an opponent that fails twice is left out of later rounds, and the others go on', async (t) => {
  const tried = [];
  const results = await interleave([{ name: 'good' }, { name: 'bad' }], 4, async ({ name }) => {
    tried.push(name);
    if (name === 'bad') throw new UserError('it does not start');
    return { time: 1 };
  });
  t.is(tried.filter((name) => name === 'bad').length, 2);
  t.deepEqual(results[0].rounds, Array(4).fill({ time: 1 }));
  t.deepEqual(describeFailures('bad', results[1].rounds), [
    '! bad, round 1 failed: it does not start',
    '! bad, round 2 failed: it does not start',
    '! bad: left out of 2 more rounds',
  ]);
  const broken = () => interleave([{ name: 'bug' }], 1, async () => undefined.nothing);
  await t.throwsAsync(broken, { instanceOf: TypeError });
});

const TRACE = `accept4(8, {sa_family=AF_INET, ...}, [16], SOCK_CLOEXEC) = 21
accept4(8, 0x7ffd, [16], SOCK_CLOEXEC) = -1 EAGAIN (Resource temporarily unavailable)
openat(AT_FDCWD, "/proc/7/stat", O_RDONLY|O_CLOEXEC) = 22
read(22, ""..., 512)                    = 180
close(22)                               = 0
read(22, ""..., 512)                    = 8
pread64(9, ""..., 512, 0)               = 20
+++ exited with 0 +++
`;

test('system calls are counted by name, with those in vain and the reads of /proc', (t) => {
  t.deepEqual(countCalls(TRACE, [9]), {
    all: 7,
    byName: { accept4: 2, openat: 1, read: 2, close: 1, pread64: 1 },
    succeeded: { accept4: 1, openat: 1, read: 2, close: 1, pread64: 1 },
    again: { accept4: 1 },
    proc: 2,
  });
});

const SAMPLES = `
ffffffff8100 do_syscall_64 ([kernel])
      7f1001 v8::Call(int, (anonymous)) (/opt/a b/node)
      7f1002 JS:*respond /home/someone/app/worker.js:15:9 (/tmp/perf-7.map)

      7f1003 JS:~processTimers node:internal/timers:5:1 (/tmp/perf-7.map)
      7f1004 rs_cluster::run::h0123456789abcdef (/home/someone/lib.node)

`;

test('samples become stacks, without paths of the machine, and these a picture', (t) => {
  const stacks = parseStacks(SAMPLES);
  t.deepEqual(stacks, [
    [
      { name: 'JS:*respond worker.js:15:9', kind: 'script' },
      { name: 'v8::Call(int, (anonymous))', kind: 'native' },
      { name: 'do_syscall_64', kind: 'kernel' },
    ],
    [
      { name: 'rs_cluster::run', kind: 'native' },
      { name: 'JS:~processTimers node:internal/timers:5:1', kind: 'script' },
    ],
  ]);
  const svg = drawFlameGraph([...stacks, ...Array(997).fill(stacks[1])], 'Where the time goes');
  t.regex(svg, /Where the time goes/);
  t.regex(svg, /processTimers/);
  t.notRegex(svg, /respond/); // too narrow
  t.notRegex(svg, /someone/);
});

// The benchmarks read /proc.
if (process.platform === 'linux') {
  test('a table that was measured beside a busy process is marked, and goes on without a failing opponent', async (t) => {
    const directory = temporaryDirectory(t);
    const json = path.join(directory, 'result.json');
    fs.writeFileSync(path.join(directory, 'index.js'), 'throw new Error("not built");');
    const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
    t.teardown(() => busy.kill('SIGKILL'));
    const args = [BENCH, 'footprint', '--rounds', '3', '--against', directory, '--json', json];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    busy.kill('SIGKILL');

    const lineOf = (name) => stdout.split('\n').find((line) => line.includes(`  ${name}`));
    t.regex(lineOf('rs-cluster'), /\d†/);
    t.regex(lineOf('node:cluster'), /\d†/);
    t.regex(lineOf('other rs-cluster'), / - .* - /);
    t.regex(stdout, /† rs-cluster: 3 of 3 rounds disturbed; others used up to \d\.\d\d processors/);
    t.regex(stdout, /† Disturbed: /);
    t.regex(stdout, /! other rs-cluster, round 2 failed: .*not built/s);
    t.regex(stdout, /! other rs-cluster: left out of 1 more rounds/);

    const { opponents } = JSON.parse(fs.readFileSync(json, 'utf8'));
    const own = opponents.find(({ name }) => name === 'rs-cluster');
    t.is(own.load.disturbed, 3);
    t.true(own.rounds.every(({ otherLoad, disturbed }) => otherLoad > 0.5 && disturbed));
  });
}
