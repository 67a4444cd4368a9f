'use strict';

// Plays `docker build` where there is no engine: does what the instructions of a Dockerfile say, in directories. The
// base images and the users stay out of it, commands run here.

const { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { DockerfileParser } = require('dockerfile-ast');
const { environment } = require('../fixture');
const { runTool } = require('../../../tools/run-tool');

const LIMIT = 120_000;

/** The words of an instruction in the form `["program", "argument"]`; undefined for any other, which needs a shell. */
function execForm(instruction) {
  try {
    const words = JSON.parse(instruction.getArgumentsContent().replace(/\\\n/g, ' '));
    return Array.isArray(words) ? words : undefined;
  } catch {
    return undefined;
  }
}

/** The command of a HEALTHCHECK, without its options. */
function healthCommand(instruction) {
  const text = instruction.getTextContent().replace(/\\\n\s*/g, ' ');
  return JSON.parse(/ CMD (\[.*\])$/.exec(text)[1]);
}

class Build {
  #context;
  #place;
  #ignored;
  #stages = new Map();
  #stage;

  /**
   * @param {string} context the directory with the files of the program
   * @param {string} place an empty one
   */
  constructor(context, place) {
    this.#context = context;
    this.#place = place;
    const file = path.join(context, '.dockerignore');
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    this.#ignored = lines.filter((line) => line !== '');
  }

  /** Does what it says; resolves to the last stage. */
  async play(dockerfile) {
    for (const instruction of dockerfile.getInstructions()) {
      await this[instruction.getKeyword()](instruction);
    }
    return this.#stage;
  }

  ARG() {}

  FROM(instruction) {
    const name = instruction.getBuildStage() ?? '';
    const root = path.join(this.#place, `stage-${this.#stages.size}`);
    mkdirSync(root);
    this.#stage = { root, directory: '/', env: {}, user: 'root', ports: [] };
    this.#stages.set(name, this.#stage);
  }

  WORKDIR(instruction) {
    this.#stage.directory = instruction.getArgumentsContent();
    mkdirSync(this.#inside('.'), { recursive: true });
  }

  ENV(instruction) {
    for (const property of instruction.getProperties()) {
      this.#stage.env[property.getName()] = property.getValue();
    }
  }

  COPY(instruction) {
    const [flag] = instruction.getFlags();
    const names = instruction.getArguments().map((argument) => argument.getValue());
    const target = names.pop();
    for (const name of names) this.#copy(this.#source(flag, name), name, target);
  }

  #source(flag, name) {
    if (!flag) return path.join(this.#context, name);
    return path.join(this.#stages.get(flag.getValue()).root, name);
  }

  #copy(from, name, target) {
    const isDirectory = target.endsWith('/') || target === '.';
    const to = this.#inside(isDirectory ? path.join(target, path.basename(name)) : target);
    if (name !== '.') return cpSync(from, to, { recursive: true, verbatimSymlinks: true });
    const wanted = readdirSync(from).filter((entry) => !this.#ignored.includes(entry));
    for (const entry of wanted) {
      cpSync(path.join(from, entry), path.join(to, entry), { recursive: true });
    }
  }

  async RUN(instruction) {
    const [program, ...args] = execForm(instruction);
    const env = { ...environment(), ...this.#stage.env };
    await runTool(program, args, { cwd: this.#inside('.'), env, limit: LIMIT });
  }

  USER(instruction) {
    this.#stage.user = instruction.getArgumentsContent();
  }

  EXPOSE(instruction) {
    this.#stage.ports = instruction.getArguments().map((argument) => argument.getValue());
  }

  HEALTHCHECK(instruction) {
    this.#stage.healthCheck = healthCommand(instruction);
  }

  CMD(instruction) {
    this.#stage.command = execForm(instruction);
  }

  #inside(name) {
    return path.join(this.#stage.root, path.resolve(this.#stage.directory, name));
  }
}

/**
 * Builds the image of a program, as far as that needs no other image.
 *
 * @returns `{ root, directory, env, user, ports, healthCheck, command }` of the last stage: `root` is where its files
 *   are, `directory` where its command runs, as the image has it
 */
function buildImage(dockerfile, context, place) {
  return new Build(context, place).play(DockerfileParser.parse(dockerfile));
}

module.exports = { buildImage };
