'use strict';

// Runs a block of the documentation, in a directory of its own, where this project is installed.
//
// The steps of `<!-- run: step; step; … -->`, in their order:
//
//   asks=3          as many GETs of `/` at the port, on a connection each; all are answered with 200.
//                   The first is tried again until somebody listens
//   answers=/…/     each of these answers matches
//   prints=/…/      what it prints after what the step like this before it has found matches, now or later
//   loads           clients ask one after the other from now on; all are answered with 200
//   rests           … until now
//   signal=SIGHUP   goes to the process that the block starts, or the only one
//   warns           it may print process warnings
//
// It ends by itself after the last step, with code 0, and leaves no process. 8000 becomes a free port.

const { spawn, spawnSync } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const { mkdirSync, symlinkSync, writeFileSync, existsSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { ROOT } = require('./documents');
const { environment } = require('./fixture');
const { execPath } = require('./implementation');
const { temporaryDirectory } = require('./temporary');
const { text } = require('./client');
const { becomesTrue, membersOf, signalGroup } = require('../../tools/process-group');

const WATCHDOG = 30_000;
const GONE_WITHIN = 2_000;
const WARNING = /^\(node:\d+\) .*/m;
const PORT = '8000';
// Not those that the kernel gives away: other tests have theirs from it.
const FIRST_PORT = 10_000;
const LAST_PORT = 30_000;

const MODULES = path.join(ROOT, 'node_modules');
const TSC = path.join(MODULES, 'typescript', 'bin', 'tsc');
const BIN = path.join(__dirname, 'bin');

/** What is run, by language: a command, for the file that the block is. */
const LANGUAGES = {
  js: { name: 'app.js', command: (file) => [execPath, file] },
  mjs: { name: 'app.mjs', command: (file) => [execPath, file] },
  ts: { name: 'app.ts', command: (file) => ['sh', '-e', '-c', compileAndRun(file)] },
  sh: { name: 'commands.sh', command: (_file, script) => ['sh', '-e', '-c', soleCommand(script)] },
  ini: { name: 'app.service', command: (_file, unit) => ['sh', '-e', '-c', startOf(unit)] },
};

function compileAndRun(file) {
  const options = '--strict --module node16 --target es2022 --types node';
  return `'${process.execPath}' '${TSC}' ${options} ${file}\nexec node ${file.replace(/\.ts$/, '.js')}`;
}

/** A single command takes the place of the shell, and so gets the signals. */
function soleCommand(script) {
  const commands = script
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => /^[^#\s]/.test(line));
  return commands.length === 1 ? `exec env ${commands[0]}` : script;
}

/** What systemd would start. */
function startOf(unit) {
  const [, command] = /^ExecStart=(.*)$/m.exec(unit);
  const variables = [...unit.matchAll(/^Environment=(.*)$/gm)].map(([, variable]) => variable);
  return `exec env ${variables.join(' ')} ${command}`;
}

/** What systemd, where there is one, has against a unit. */
function complaintsAbout(unit) {
  const { stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
  return (stderr ?? '').split('\n').filter((line) => line.includes(path.basename(unit)));
}

let lastPort = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));

async function freePort() {
  for (;;) {
    lastPort = lastPort < LAST_PORT ? lastPort + 1 : FIRST_PORT;
    const server = net.createServer().listen(lastPort);
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]);
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return lastPort;
  }
}

/** Has the packages in `directory` that the sources load, as if installed. */
function installInto(directory, sources) {
  const names = sources.flatMap((source) =>
    [
      ...source.matchAll(
        /(?:\brequire\(|\bfrom |\bimport |--require |--import )'?([@\w][\w./-]*)/g,
      ),
    ].map(([, specifier]) => specifier.match(/^(?:@[^/]+\/)?[^/]+/)[0]),
  );
  for (const name of new Set([...names, 'rs-cluster', '@types/node'])) {
    const target = name === 'rs-cluster' ? ROOT : path.join(MODULES, name);
    if (!existsSync(target)) continue;
    const link = path.join(directory, 'node_modules', name);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(target, link);
  }
}

function parseSteps(block) {
  const steps = block.what.split(';').map((step) => step.trim());
  return steps.filter(Boolean).map((step) => {
    const [, name, value = ''] = /^(\w+)(?:=(.*))?$/.exec(step) ?? [];
    if (!(name in STEPS)) throw new Error(`${block.place}: there is no step ${step}`);
    return { name, value };
  });
}

function toPattern(value) {
  const [, source, flags] = /^\/(.*)\/(\w*)$/.exec(value);
  return new RegExp(source, flags);
}

/** A block that runs, as the leader of a process group. */
class Run extends EventEmitter {
  output = '';
  answers = [];
  warns = false;
  #child;
  #seen = 0;
  #load;

  constructor([file, ...args], { directory, port }) {
    super();
    this.port = port;
    this.#child = spawn(file, args, {
      cwd: directory,
      env: { ...environment(), PATH: [BIN, path.dirname(execPath), process.env.PATH].join(':') },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.output += chunk;
        this.emit('news');
      });
    }
    const watchdog = setTimeout(() => this.destroy(), WATCHDOG);
    const closed = once(this.#child, 'close');
    this.exited = once(this.#child, 'exit').then(async ([code, signal]) => {
      clearTimeout(watchdog);
      const gone = await becomesTrue(() => membersOf(this.#child.pid).length === 0, GONE_WITHIN);
      const left = membersOf(this.#child.pid).map(({ command }) => command);
      this.destroy();
      await closed;
      this.emit('news');
      if (!gone) throw new Error(`it left processes behind: ${left.join(', ')}`);
      return signal ?? code;
    });
    this.exited.catch(() => {}); // Whoever runs the steps has failed, or is to look at it yet.
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  destroy() {
    signalGroup(this.#child.pid, 'SIGKILL');
  }

  async ask() {
    const request = http.get({ port: this.port, host: '127.0.0.1', agent: false });
    const [response] = await once(request, 'response');
    const answer = await text(response);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${answer}`);
    return answer;
  }

  /** For servers that may not listen yet. */
  async askFirst() {
    let answer;
    const isAnswered = () =>
      this.ask().then(
        (said) => {
          answer = said;
          return true;
        },
        (error) => {
          if (error.code !== 'ECONNREFUSED' || !this.isRunning) throw error;
          return false;
        },
      );
    if (!(await becomesTrue(isAnswered, WATCHDOG))) throw new Error('nobody listens');
    return answer;
  }

  async untilPrinted(pattern) {
    for (;;) {
      const found = pattern.exec(this.output.slice(this.#seen));
      if (found) {
        this.#seen += found.index + found[0].length;
        return;
      }
      if (!this.isRunning) {
        await this.exited;
        if (pattern.test(this.output.slice(this.#seen))) return;
        throw new Error(`it ended, and did not print ${pattern}`);
      }
      await once(this, 'news');
    }
  }

  signal(name) {
    this.#child.kill(name);
  }

  startLoad() {
    const load = { isOn: true, answered: 0 };
    load.done = (async () => {
      while (load.isOn) {
        await this.ask();
        load.answered += 1;
      }
    })();
    load.done.catch(() => {}); // The step `rests` looks at it.
    this.#load = load;
  }

  async endLoad() {
    this.#load.isOn = false;
    await this.#load.done;
    if (this.#load.answered === 0) throw new Error('nobody was answered under load');
  }
}

const STEPS = {
  async asks(run, value) {
    run.answers = [await run.askFirst()];
    while (run.answers.length < Number(value)) run.answers.push(await run.ask());
  },
  answers(run, value) {
    const odd = run.answers.find((answer) => !toPattern(value).test(answer));
    if (odd !== undefined) throw new Error(`an answer does not match ${value}: ${odd}`);
  },
  prints: (run, value) => run.untilPrinted(toPattern(value)),
  loads: (run) => run.startLoad(),
  rests: (run) => run.endLoad(),
  signal: (run, value) => run.signal(value),
  warns(run) {
    run.warns = true;
  },
};

/** Lines with what differs from run to run, process ids above all, made equal. */
function normalized(output) {
  return output
    .split('\n')
    .map((line) => line.replace(/\d{3,}/g, 'N').trim())
    .filter(Boolean);
}

/**
 * Runs a block, with the files that stand above it.
 *
 * @param {object} options
 * @param {Record<string, string>} options.files
 * @param {string} [options.printed] lines that it prints, in any order
 * @throws when it is not as the document says
 */
async function runBlock(t, block, { files, printed }) {
  const language = LANGUAGES[block.language];
  if (!language) throw new Error(`blocks of "${block.language}" can't be run`);
  const directory = temporaryDirectory(t);
  const port = await freePort();
  const adapt = (source) =>
    source
      .replaceAll(PORT, port)
      .replaceAll('/srv/app', directory)
      .replaceAll('/usr/bin/node', execPath);
  const all = { ...files, [language.name]: block.text };
  const sources = Object.entries(all).map(([name, source]) => [name, adapt(source)]);
  for (const [name, source] of sources) writeFileSync(path.join(directory, name), source);
  if (block.language === 'ini') {
    const complaints = complaintsAbout(path.join(directory, language.name));
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  }
  // What installs has to do so itself.
  const installs = block.language === 'sh' && /^npm install/m.test(block.text);
  if (!installs) installInto(directory, Object.values(all));

  const command = language.command(language.name, adapt(block.text));
  const run = new Run(command, { directory, port });
  t.teardown(async () => {
    run.destroy();
    if (!t.passed) t.log(`--- output of ${block.place}\n${run.output}`);
    await run.exited.catch(() => {});
  });
  for (const { name, value } of parseSteps(block)) await STEPS[name](run, value);
  const end = await run.exited;
  if (end !== 0) throw new Error(`it ended with ${end}`);
  const [warning] = WARNING.exec(run.output) ?? [];
  if (warning && !run.warns) throw new Error(`it printed a warning: ${warning}`);
  if (printed !== undefined) {
    const lines = normalized(run.output);
    const missing = normalized(adapt(printed)).filter((line) => !lines.includes(line));
    if (missing.length > 0) throw new Error(`it did not print:\n${missing.join('\n')}`);
  }
}

module.exports = { LANGUAGES, runBlock };
