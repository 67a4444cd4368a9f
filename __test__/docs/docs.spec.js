'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { LANGUAGES, runBlock } = require('../helpers/block');
const { Document, ROOT, userDocuments } = require('../helpers/documents');
const { isBuiltin } = require('../helpers/implementation');
const { run } = require('../helpers/fixture');

const documents = userDocuments().map((name) => new Document(name));
const linked = [
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench/README.md',
  'conformance/README.md',
  'fuzz/README.md',
].map((name) => new Document(name));
const blocks = documents.flatMap((document) =>
  document.blocks.map((block) => ({ document, block })),
);

// .ci/run executes the steps of these commands on a clean clone; the examples have their own test.
const OF_A_CLONE = ['npm start', 'npm test'];
const AT_ONCE = 3;
const NOT_RUN = ['file', 'clone', 'part of', 'deploy'];

/** Lets at most `count` tasks run at the same time. */
class Turns {
  #free;
  #waiting = [];

  constructor(count) {
    this.#free = count;
  }

  async take() {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((resolve) => this.#waiting.push(resolve));
  }

  release() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

const turns = new Turns(AT_ONCE);

/** Whether a file has these lines, all of them indented equally. */
function hasPart(file, text) {
  const start = file.split('\n').find((line) => line.trimStart() === text.split('\n')[0]);
  const indent = start?.match(/^ */)[0] ?? '';
  return file.includes(text.replace(/^(?=.)/gm, indent));
}

/** Whether a block is the output of the block before it. */
function isOutput({ language, previous }) {
  return language === 'text' && isRun(previous);
}

function isRun({ language, kind } = {}) {
  return language in LANGUAGES && !NOT_RUN.includes(kind);
}

for (const { document, block } of blocks) {
  const { place, kind, what, text, language } = block;
  if (kind === 'file') {
    test(`${place} is a file that a block below it uses`, (t) => {
      const below = document.blocks.slice(document.blocks.indexOf(block) + 1);
      const uses =
        what === 'package.json'
          ? (other) => /^npm (?:start|run)/m.test(other.text)
          : (other) => other.text.includes(path.parse(what).name);
      t.true(below.some(uses));
    });
  } else if (kind === 'clone') {
    test(`${place} is a command of a clone`, (t) => t.true(OF_A_CLONE.includes(text.trim())));
  } else if (kind === 'part of') {
    test(`${place} is part of ${what}`, (t) => t.true(hasPart(read(what), text)));
  } else if (kind === 'deploy') {
    test(`${place} is a command of a deployment`, (t) => {
      t.is(language, 'sh');
      const { status, stderr } = spawnSync('sh', ['-n', '-c', text], { encoding: 'utf8' });
      t.is(status, 0, stderr);
    });
  } else if (!isOutput(block) && !isBuiltin) {
    test(`${place} does what it says`, async (t) => {
      await turns.take();
      try {
        const files = document.filesFor(block);
        const printed = document.outputOf(block);
        await runBlock(t, block, { files, printed, service: document.serviceFor(block) });
        t.pass();
      } finally {
        turns.release();
      }
    });
  }
}

test('the README has the two commands of a clone', (t) => {
  const ofClone = blocks.filter(({ block }) => block.kind === 'clone');
  t.deepEqual(
    ofClone.map(({ document, block }) => [document.name, block.text.trim()]),
    OF_A_CLONE.map((command) => ['README.md', command]),
  );
});

for (const document of [...documents, ...linked]) {
  test(`the links of ${document.name} have targets`, (t) => {
    const broken = document.links.filter((link) => {
      const [file, anchor] = link.split('#');
      const target = path.join(path.dirname(document.name), file);
      const name = file === '' ? document.name : target;
      if (!existsSync(path.join(ROOT, name))) return true;
      if (anchor === undefined) return false;
      return !new Document(name).headings.some((heading) => heading.anchor === anchor);
    });
    t.deepEqual(broken, []);
  });
}

for (const { name, prose, blocks: found } of documents) {
  test(`every block and annotation of ${name} is recognized`, (t) => {
    // The comments around the benchmark's report are not annotations.
    const comments = prose.filter((line) => /^\s*<!--(?! \/?bench -->)/.test(line));
    t.is(comments.length, found.filter(({ kind }) => kind !== undefined).length);
    t.deepEqual(
      prose.filter((line) => /^\s+```|^\s*~~~/.test(line)),
      [],
    );
  });
}

test('the index of the documentation lists all documents', (t) => {
  const index = new Document('docs/README.md').links;
  const names = readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  t.deepEqual(
    names.filter((name) => name !== 'README.md' && !index.includes(name)),
    [],
  );
});

if (!isBuiltin) {
  const api = new Document('docs/api.md');
  const described = api.entries.join('\n');
  const has = (name) => new RegExp(`[\`.' ]${name}[\`'(]`).test(described);

  test('the API reference has every member of the module and of workers', async (t) => {
    const { lines } = await run(t, 'docs/members');
    t.deepEqual(
      lines.map(({ role }) => role),
      ['primary', 'worker'],
    );
    for (const { cluster, worker } of lines) {
      t.true(cluster.length > 3 && worker.length > 5);
      t.deepEqual(
        [
          ...cluster.map((name) => `cluster.${name}`),
          ...worker.map((name) => `worker.${name}`),
        ].filter((name) => !has(name.replace('.', '\\.'))),
        [],
      );
    }
  });

  test('the API reference has every setting, option, event, statistic and type that TypeScript knows', (t) => {
    const ours = read('index.d.ts');
    const nodes = read('node_modules/@types/node/cluster.d.ts');
    const bodies = [...`${ours}\n${nodes}`.matchAll(/interface (\w+)[^{]*\{(.*?)\n {2,4}\}/gs)];
    const membersOf = (wanted) =>
      bodies
        .filter(([, name]) => wanted.includes(name))
        .flatMap(([, , body]) =>
          [...body.matchAll(/^ {4,8}(?:readonly )?(\w+)(?:\??: (?!Listen)|\()/gm)].map(
            ([, name]) => name,
          ),
        );
    const types = [...ours.matchAll(/^ {2}(?:interface|type) (\w+)/gm)].map(([, name]) => name);
    const settings = membersOf(['ClusterSettings']).map((name) => `settings\\.${name}`);
    const statistics = membersOf(['ConnectionCounts', 'ListenerStats', 'WorkerStats']);
    const supervision = membersOf([
      'SuperviseOptions',
      'Supervisor',
      'SupervisorEvents',
      'SupervisorError',
      'Status',
      'StatusEvent',
      'StatusHistory',
      'StatusTotals',
      'SlotStatus',
      'DrainingStatus',
      'ProcessStatus',
    ]);
    const events = [...nodes.matchAll(/event: "(\w+)"/g)].map(([, name]) => `'${name}`);
    t.true(types.length > 5 && settings.length > 10 && statistics.length > 8 && events.length > 6);
    t.true(supervision.length > 40);
    t.deepEqual(
      [...types, ...settings, ...statistics, ...supervision, ...events].filter(
        (name) => !has(name),
      ),
      [],
    );
  });

  test('the API reference has every error and warning of the sources', (t) => {
    const sources = ['lib', 'src', '.'].flatMap((folder) =>
      readdirSync(path.join(ROOT, folder), { recursive: folder !== '.' })
        // See __test__/cli/document.spec.js.
        .filter((name) => !name.startsWith(`cli${path.sep}`))
        .filter((name) => /\.(js|rs|d\.ts)$/.test(name))
        .map((name) => read(path.join(folder, name))),
    );
    // What only the control socket answers.
    const ofSocket = new Document('docs/cli.md').prose.join('\n');
    const names = sources.join('\n').match(/\bERR_[A-Z_]+[A-Z]\b|\b[A-Z]\w+Warning\b/g);
    t.true(new Set(names).size > 10);
    t.deepEqual(
      names.filter((name) => !has(name) && !ofSocket.includes(name)),
      [],
    );
  });

  test('the API reference says for each member since which version it exists', (t) => {
    const members = api.headings.filter(({ level, text }) => level === 3 && text.includes('`'));
    t.true(members.length > 50);
    const silent = members.filter((heading) => !/^- Since: .*\d/m.test(api.sectionOf(heading)));
    t.deepEqual(
      silent.map(({ text }) => text),
      [],
    );
  });
}

function read(name) {
  return readFileSync(path.join(ROOT, name), 'utf8');
}
