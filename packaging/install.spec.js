'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { serial: test } = require('ava');
const { makeMainPackage } = require('./lib/main-package.js');
const { NODES } = require('./lib/nodes.js');
const { ROOT, builtPackages, manifestOf, pack, platformPackages } = require('./lib/packages.js');
const { startRegistry } = require('./lib/registry.js');
const { freePort } = require('../__test__/helpers/free-port.js');
const { findNode } = require('../tools/node-binary.js');
const { fetchPackage } = require('../tools/package.js');
const { targetOf } = require('../lib/addon/binary.js');
const { becomesTrue, membersOf, signalGroup } = require('../tools/process-group.js');
const { runTool } = require('../tools/run-tool.js');

const GONE_WITHIN = 5_000;
const ANSWERS_WITHIN = 30_000;

const place = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rs-cluster-'));
// The target of this machine.
const own = builtPackages().find(({ target }) => target === targetOf(process));
let registry;
let tarballs;

test.before('all packages are packed, and a registry has them', async () => {
  const packed = async (directory) => (await pack(directory, path.join(place, 'packed'))).file;
  const main = makeMainPackage(path.join(place, 'main'));
  tarballs = { main: await packed(main), platform: await packed(own.directory) };
  registry = await startRegistry([
    { manifest: manifestOf(ROOT), tarball: tarballs.main },
    ...platformPackages().map(({ target, manifest }) => ({
      manifest,
      tarball: target === own.target ? tarballs.platform : undefined,
    })),
  ]);
});

test.after.always('nothing is left', () => {
  registry?.close();
  fs.rmSync(place, { recursive: true, force: true });
});

function which(command) {
  const found = process.env.PATH.split(path.delimiter)
    .map((directory) => path.join(directory, command))
    .find((file) => fs.existsSync(file));
  return fs.realpathSync(found);
}

/** Makes an empty directory, and an environment with only Node and npm in its PATH. */
function prepare(name) {
  const bin = path.join(place, name, 'bin');
  const project = path.join(place, name, 'project');
  for (const directory of [bin, project]) fs.mkdirSync(directory, { recursive: true });
  fs.symlinkSync(process.execPath, path.join(bin, 'node'));
  fs.symlinkSync(which('npm'), path.join(bin, 'npm'));
  return { project, env: environmentOf(name) };
}

/** The environment that `prepare()` has made for a directory. */
function environmentOf(name) {
  const PATH = path.join(place, name, 'bin');
  return { PATH, HOME: place, npm_config_registry: registry.url };
}

async function install(name, ...what) {
  const { project, env } = prepare(name);
  const npm = path.join(env.PATH, 'npm');
  const args = ['install', '--no-audit', '--no-fund', '--no-update-notifier', ...what];
  await runTool(npm, args, { cwd: project, env });
  return project;
}

/** The first program of the README that loads the package, on a free port. */
async function exampleOfReadme() {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const programs = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, program]) => program);
  const program = programs.find((text) => text.includes("require('rs-cluster')"));
  const port = await freePort();
  return { port, program: program.replaceAll('8000', `${port}`) };
}

async function answerOf(url) {
  try {
    return await (await fetch(url)).text();
  } catch {
    return undefined; // The program does not listen yet.
  }
}

/** Runs the example with this Node; resolves to its answer to a request. */
async function askExample(t, project, node, env = {}) {
  const { port, program } = await exampleOfReadme();
  const file = path.join(project, 'example.js');
  fs.writeFileSync(file, program);
  const child = spawn(node, [file], { cwd: project, env, detached: true, stdio: 'pipe' });
  t.teardown(() => signalGroup(child.pid, 'SIGKILL'));
  const exited = once(child, 'exit');
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  let answer;
  await becomesTrue(async () => {
    answer = await answerOf(`http://127.0.0.1:${port}/`);
    return answer !== undefined || child.exitCode !== null || child.signalCode !== null;
  }, ANSWERS_WITHIN);
  child.kill();
  await exited;
  t.true(await becomesTrue(() => membersOf(child.pid).length === 0, GONE_WITHIN));
  t.is(stderr, '');
  return answer;
}

test('npx finds the command, which runs a program', async (t) => {
  const project = await install('command', 'rs-cluster');
  const env = environmentOf('command');
  // npm starts commands by a shell.
  fs.symlinkSync(which('sh'), path.join(env.PATH, 'sh'));
  const npx = path.join(path.dirname(which('npm')), 'npx-cli.js');
  const run = (...args) =>
    runTool(process.execPath, [npx, '--no', '--', ...args], { cwd: project, env });
  t.is((await run('rs-cluster', '--version')).trim(), manifestOf(ROOT).version);
  fs.writeFileSync(
    path.join(project, 'server.js'),
    'require("node:net").createServer().listen(0);\n',
  );
  t.regex(await run('rs-cluster', 'check', 'server.js'), /^ready after \S+, listens on /);
});

test('npm installs the binary of this platform, and no other', async (t) => {
  const project = await install('by-name', 'rs-cluster');
  const installed = fs.readdirSync(path.join(project, 'node_modules'));
  t.deepEqual(installed.filter((name) => !name.startsWith('.')).sort(), [
    'rs-cluster',
    own.manifest.name,
  ]);
});

test('without optional dependencies, `require` reports what is missing', async (t) => {
  const project = await install('without', '--omit=optional', 'rs-cluster');
  const program = "try { require('rs-cluster') } catch ({ code }) { console.log(code) }";
  const said = await runTool(process.execPath, ['-e', program], { cwd: project });
  t.is(said, 'ERR_RS_CLUSTER_NO_BINARY');
});

test("installed by pnpm, the README's example runs", async (t) => {
  const pnpm = path.join(await fetchPackage('pnpm@10.34.9'), 'bin', 'pnpm.cjs');
  const { project, env } = prepare('pnpm');
  const args = ['add', 'rs-cluster', '--store-dir', path.join(place, 'pnpm-store')];
  await runTool(process.execPath, [pnpm, ...args], { cwd: project, env });
  t.regex(await askExample(t, project, process.execPath), /worker \d+/);
});

test("installed by Yarn with Plug'n'Play, the README's example runs", async (t) => {
  const yarn = path.join(await fetchPackage('@yarnpkg/cli-dist@4.18.1'), 'bin', 'yarn.js');
  const { project, env } = prepare('yarn');
  fs.writeFileSync(path.join(project, 'package.json'), '{}');
  fs.writeFileSync(path.join(project, 'yarn.lock'), '');
  const settings = {
    YARN_NPM_REGISTRY_SERVER: registry.url,
    YARN_UNSAFE_HTTP_WHITELIST: new URL(registry.url).hostname,
    YARN_GLOBAL_FOLDER: path.join(place, 'yarn'),
    YARN_ENABLE_TELEMETRY: '0',
  };
  const options = { cwd: project, env: { ...env, ...settings } };
  await runTool(process.execPath, [yarn, 'add', 'rs-cluster'], options);
  // `yarn node` does the same.
  const NODE_OPTIONS = `--require ${path.join(project, '.pnp.cjs')}`;
  t.regex(await askExample(t, project, process.execPath, { NODE_OPTIONS }), /worker \d+/);
});

for (const version of NODES) {
  test(`installed from the tarballs, the README's example runs on Node ${version}`, async (t) => {
    const { main, platform } = tarballs;
    const project = await install(`node-${version}`, main, platform);
    const { path: node } = await findNode(version);
    t.regex(await askExample(t, project, node), /worker \d+/);
  });
}
