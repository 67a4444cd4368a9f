'use strict';

// Runs a block of the documentation, in its own directory, where this project is installed.
//
// The steps of `<!-- run: step; step; … -->`, which run in order:
//
//   asks=3          sends this many GET requests for `/`, each on its own connection; all are answered with
//                   200. The first one is repeated until a server listens
//   answers=/…/     each of these answers matches the pattern
//   prints=/…/      the output after the match of the previous `prints` step matches, now or later
//   loads           starts clients that send requests one after the other; all are answered with 200
//   rests           stops these clients
//   signal=SIGHUP   sends the signal to the process that the block starts, or to its only process; SIGINT
//                   goes to the whole group, as from a terminal
//   warns           allows process warnings
//
// The block has to end by itself after the last step, with code 0, and to leave no process. A free port
// replaces 8000.

const { spawnSync } = require('node:child_process');
const { mkdirSync, symlinkSync, writeFileSync, existsSync } = require('node:fs');
const path = require('node:path');
const BlockProcess = require('./block-process');
const { ROOT } = require('./documents');
const { freePort } = require('./free-port');
const { execPath } = require('./implementation');
const { temporaryDirectory } = require('./temporary');

const WARNING = /^\(node:\d+\) .*/m;
const PORT = '8000';

const MODULES = path.join(ROOT, 'node_modules');
const TSC = path.join(MODULES, 'typescript', 'bin', 'tsc');

/** The command that runs a block, by its language; the block becomes the named file. */
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

/** A single command replaces the shell, and so gets the signals. */
function soleCommand(script) {
  const commands = script
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => /^[^#\s]/.test(line));
  return commands.length === 1 ? `exec env ${commands[0]}` : script;
}

/** The command that systemd would start. */
function startOf(unit) {
  const [, command] = /^ExecStart=(.*)$/m.exec(unit);
  const variables = [...unit.matchAll(/^Environment=(.*)$/gm)].map(([, variable]) => variable);
  return `exec env ${variables.join(' ')} ${command}`;
}

/** The errors that systemd, if it is installed, finds in a unit. */
function complaintsAbout(unit) {
  const { stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
  return (stderr ?? '').split('\n').filter((line) => line.includes(path.basename(unit)));
}

/** Makes the packages that the sources load available in `directory`, as if they were installed. */
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

const STEPS = {
  async asks(run, value) {
    run.answers = [await run.askFirst()];
    while (run.answers.length < Number(value)) run.answers.push(await run.ask());
  },
  answers(run, value) {
    const wrong = run.answers.find((answer) => !toPattern(value).test(answer));
    if (wrong !== undefined) throw new Error(`an answer does not match ${value}: ${wrong}`);
  },
  prints: (run, value) => run.untilPrinted(toPattern(value)),
  loads: (run) => run.startLoad(),
  rests: (run) => run.endLoad(),
  signal: (run, value) => run.signal(value),
  warns(run) {
    run.warns = true;
  },
};

/** The lines of an output, without differences from run to run, mainly process ids. */
function normalized(output) {
  return output
    .split('\n')
    .map((line) => line.replace(/\d{3,}/g, 'N').trim())
    .filter(Boolean);
}

/**
 * Runs a block, with the files above it.
 *
 * @param {object} options
 * @param {Record<string, string>} options.files
 * @param {string} [options.printed] all lines that it prints, in any order
 * @throws if the block does not do what the document says
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
  // A block that installs packages has to do so itself.
  const installs = block.language === 'sh' && /^npm install/m.test(block.text);
  if (!installs) installInto(directory, Object.values(all));

  const command = language.command(language.name, adapt(block.text));
  const run = new BlockProcess(command, { directory, port });
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
    const expected = normalized(adapt(printed));
    const missing = expected.filter((line) => !lines.includes(line));
    if (missing.length > 0) throw new Error(`it did not print:\n${missing.join('\n')}`);
    const others = lines.filter((line) => !expected.includes(line));
    if (others.length > 0) throw new Error(`it printed more:\n${others.join('\n')}`);
  }
}

module.exports = { LANGUAGES, runBlock };
