'use strict';

// Runs one program once, and reads what its processes have traced.

const { once } = require('node:events');
const { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { keepTail } = require('../../tools/output.js');
const { becomesTrue, membersOf } = require('../../tools/process-group.js');
const { endGroup, killGroup, startGroup } = require('../../tools/processes.js');
const { afterTimeLimit } = require('../../tools/time-limit.js');
const { Trace } = require('./trace.js');
const { callersEnvironment } = require('../../conformance/lib/environment.js');

const REFERENCE = 'node:cluster';
const FIRST_PORT = 10_000;
const PORTS_A_JOB = 2;
const JOBS = 1000;
/** How long workers may outlive a primary that has ended, in milliseconds of an idle machine. */
const GONE_WITHIN = 3_000;

/** Runs a program's text; resolves to its trace, and its output on stderr. */
async function run(source, implementation, { node, slot, limit, slowness = 0 }) {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'parity-'));
  const file = path.join(directory, 'program.js');
  writeFileSync(file, source);
  const port = FIRST_PORT + ((((process.pid * 37) % 400) + slot) % JOBS) * PORTS_A_JOB;
  const child = startGroup(node.path, [file], {
    cwd: directory,
    env: {
      ...callersEnvironment(),
      CLUSTER: implementation,
      TRACE: directory,
      SLOWNESS: `${slowness}`,
      PORT_A: `${port}`,
      PORT_B: `${port + 1}`,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stderr = keepTail(child.stderr);
  let hangs = false;
  const stop = afterTimeLimit(limit, () => {
    hangs = true;
    killGroup(child);
  });
  const [code, signal] = await once(child, 'exit');
  stop();
  const left = hangs || !(await becomesTrue(() => membersOf(child.pid).length === 0, GONE_WITHIN));
  endGroup(child);
  child.stderr.destroy();
  const trace = readTrace(directory, { directory, port });
  trace.set('end', [hangs ? 'hangs' : `${signal ?? code}${left ? ', and leaves workers' : ''}`]);
  rmSync(directory, { recursive: true, force: true });
  return { trace, stderr: stderr() };
}

function readTrace(directory, names) {
  const trace = new Trace();
  for (const name of readdirSync(directory)
    .filter((it) => /^[PW]/.test(it))
    .sort()) {
    const text = readFileSync(path.join(directory, name), 'utf8');
    for (const line of text.split('\n').slice(0, -1)) {
      const [, stream, fact] = /^(\S+) ?(.*)$/.exec(line) ?? [undefined, 'other', line];
      trace.add(stream, normalized(fact, names));
    }
  }
  return trace;
}

/** Replaces numbers of four and more digits, which are ports, process ids and similar. */
function normalized(fact, { directory, port }) {
  return fact
    .replaceAll(directory, 'DIRECTORY')
    .replaceAll(new RegExp(`\\b${port}\\b`, 'g'), 'PORT_A')
    .replaceAll(new RegExp(`\\b${port + 1}\\b`, 'g'), 'PORT_B')
    .replaceAll(/\b(?!70000\b)\d{4,}\b/g, 'N');
}

module.exports = { REFERENCE, run };
