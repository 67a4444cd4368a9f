'use strict';

// docs/deploy.md and deploy/: all of it is executed by a spec in this folder, or by that of the documents.

const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');
const test = require('ava');
const { Document, ROOT } = require('../helpers/documents');

const SOURCES = [__dirname, path.join(__dirname, '../helpers/deploy')];
// Its own spec opens it in a browser's place: __test__/docs/monitoring.spec.js.
const ELSEWHERE = ['grafana/dashboard.json'];
const RUNS = ['run', 'service', 'file', undefined];

const tests = SOURCES.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.js') && path.join(folder, name) !== __filename)
    .map((name) => readFileSync(path.join(folder, name), 'utf8')),
).join('\n');

/** The files in `deploy/`, by their paths in it. */
function deployFiles() {
  const entries = readdirSync(path.join(ROOT, 'deploy'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const place = ({ parentPath, path: folder, name }) => path.join(parentPath ?? folder, name);
  return files.map((entry) => path.relative(path.join(ROOT, 'deploy'), place(entry)));
}

test('a spec uses every file for deployments', (t) => {
  const unused = deployFiles().filter((name) => !tests.includes(`'${name}'`));
  t.deepEqual(unused, ELSEWHERE);
});

test('every block about deployments runs, or is part of a file that a spec uses', (t) => {
  const { blocks } = new Document('docs/deploy.md');
  const parts = blocks.filter(({ kind }) => kind === 'part of');
  t.true(parts.length > 5);
  for (const { what, place } of parts) {
    t.true(tests.includes(`'${path.relative('deploy', what)}'`), place);
  }
  // The systemd of a machine is played by that of systemd.spec.js, which runs the same units: the service's, and that
  // of its sockets.
  const others = blocks.filter(({ kind }) => kind !== 'part of' && !RUNS.includes(kind));
  t.deepEqual(
    others.map(({ kind, text }) => [kind, text.split('\n')[0].split(' ').slice(0, 3).join(' ')]),
    [
      ['deploy', 'npx rs-cluster systemd'],
      ['deploy', 'npx rs-cluster systemd'],
    ],
  );
});
