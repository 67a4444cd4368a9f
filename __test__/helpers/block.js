'use strict';

// Runs a block of the documentation, in its own directory, where this project is installed: `npx rs-cluster` and the
// scripts of `npm` find it. See block-steps.js for what a document can say about a block.
//
// The block has to end by itself after the last step, with code 0 if it does not say `exits`, and to leave no process.
// A service gets SIGTERM after its last step. Free ports replace 8000, 8001, 9100 and 9101.

const { mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { LANGUAGES, complaintsAbout } = require('./block-languages');
const { compareOutput, refuseWarnings } = require('./block-output');
const { installInto } = require('./block-packages');
const BlockProcess = require('./block-process');
const { parseSteps, perform } = require('./block-steps');
const { freePort } = require('./free-port');
const { execPath } = require('./implementation');
const { temporaryDirectory } = require('./temporary');

/** The first is that of the server that `asks` speaks to. */
const PORTS = ['8000', '8001', '9100', '9101'];

/** A directory in which blocks run, with the files above them. */
class Place {
  #t;
  #ports = new Map();

  constructor(t) {
    this.#t = t;
    this.directory = temporaryDirectory(t);
    // Clients find the control socket of this place only.
    this.runtime = path.join(this.directory, '.run');
    mkdirSync(this.runtime, { mode: 0o700 });
  }

  async choosePorts() {
    for (const port of PORTS) this.#ports.set(port, await freePort());
  }

  adapt(source) {
    return source
      .replace(/\b(?:8000|8001|9100|9101)\b/g, (port) => this.#ports.get(port))
      .replaceAll('/srv/app', this.directory)
      .replaceAll('/usr/bin/node', execPath);
  }

  /** Writes the block and the files above it. */
  fill(blocks, files) {
    const own = blocks.map(({ language, text }) => [LANGUAGES[language].name, text]);
    const all = { ...files, ...Object.fromEntries(own) };
    for (const [name, source] of Object.entries(all)) {
      const file = path.join(this.directory, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, this.adapt(source));
    }
    // A block that installs packages has to do so itself.
    const installs = blocks.some(({ language, text }) => {
      return language === 'sh' && /^npm install/m.test(text);
    });
    if (!installs) installInto(this.directory, Object.values(all));
  }

  start(block) {
    const { name, command } = LANGUAGES[block.language];
    const run = new BlockProcess(command(name, this.adapt(block.text)), {
      directory: this.directory,
      port: this.#ports.get(PORTS[0]),
      env: {
        RUNTIME_DIRECTORY: undefined,
        XDG_RUNTIME_DIR: this.runtime,
        TMPDIR: this.runtime,
      },
    });
    this.#t.teardown(async () => {
      run.destroy();
      if (!this.#t.passed) this.#t.log(`--- output of ${block.place}\n${run.output}`);
      await run.exited.catch(() => {});
    });
    return run;
  }
}

/**
 * Runs a block, with the files above it.
 *
 * @param {object} options
 * @param {Record<string, string>} options.files
 * @param {string} [options.printed] all lines that it prints, in any order
 * @param {object} [options.service] the block that is the service above
 * @throws if the block does not do what the document says
 */
async function runBlock(t, block, { files, printed, service }) {
  if (!LANGUAGES[block.language]) {
    throw new Error(`blocks of "${block.language}" can't be run`);
  }
  const { setup, actions } = parseSteps(block);
  const needsService = 'service' in setup;
  if (needsService && !service) throw new Error(`${block.place}: no service is above`);
  const place = new Place(t);
  await place.choosePorts();
  place.fill(needsService ? [service, block] : [block], files);
  if (block.language === 'ini') {
    const complaints = complaintsAbout(path.join(place.directory, LANGUAGES.ini.name));
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  }

  const background = needsService ? await startService(place, service) : undefined;
  const run = place.start(block);
  run.service = background;
  await perform(run, actions);
  if (block.kind === 'service') await endService(run, parseSteps(block).setup);
  else await ends(run, setup);
  if (background) await endService(background, parseSteps(service).setup);
  if (printed !== undefined) compareOutput(run.output, place.adapt(printed), setup);
}

async function startService(place, block) {
  const run = place.start(block);
  await perform(run, parseSteps(block).actions);
  return run;
}

async function endService(run, setup) {
  if (run.isRunning) run.signal('SIGTERM');
  await ends(run, setup);
}

async function ends(run, setup) {
  const end = await run.exited;
  const expected = Number(setup.exits ?? 0);
  if (end !== expected) throw new Error(`it ended with ${end} instead of ${expected}`);
  if (!('warns' in setup)) refuseWarnings(run.output);
}

module.exports = { LANGUAGES, runBlock };
