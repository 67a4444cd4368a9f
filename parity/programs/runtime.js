// biome-ignore-all lint/correctness/noUnusedVariables: the programs that follow use them

'use strict';

// The beginning of every program of `npm run parity`. A program writes its observations into the directory
// TRACE, with a file for each process and a line for each fact:
//
//     mkdir trace && TRACE=trace CLUSTER=node:cluster node program.js; cat trace/*
//
// CLUSTER may also be the path of rs-cluster. A line begins with its stream; the order matters
// only within a stream.

const { AsyncLocalStorage } = require('node:async_hooks');
const dgram = require('node:dgram');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { inspect } = require('node:util');

const cluster = require(process.env.CLUSTER || 'node:cluster');

const TRACE = path.resolve(process.env.TRACE || '.');
process.env.TRACE = TRACE;
const context = new AsyncLocalStorage();
const me = cluster.isPrimary ? 'P' : `W${process.env.W}`;
const file = fs.openSync(path.join(TRACE, me), 'a');

function show(value) {
  if (value instanceof Error) return `${value.name} ${value.code}: ${value.message}`;
  if (typeof value === 'string') return value;
  if (value instanceof cluster.Worker) return 'a worker';
  const kind = value?.constructor?.name;
  if (/^(?:Socket|Server|TCP|Pipe|UDP|ChildProcess|process|Control)$/.test(kind))
    return `a ${kind}`;
  return inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100 });
}

// A process may be slow at times, by at most this many milliseconds, to find out which results depend on
// which process is faster.
const slowness = Number(process.env.SLOWNESS ?? 0);

function beSlow(most) {
  if (slowness === 0 || Math.random() < 0.6) return;
  const end = performance.now() + Math.random() * most;
  while (performance.now() < end);
}
beSlow(slowness * 8);

/** Is slow after the queries of `listen()` and `bind()` have been sent, each in its own tick. */
function beSlowOnceAsked() {
  process.nextTick(process.nextTick, process.nextTick, beSlow, slowness);
}

function trace(stream, ...facts) {
  beSlow(slowness);
  const store = context.getStore();
  const where = store === undefined ? '' : ` in ${store}`;
  fs.writeSync(file, `${me}${stream} ${facts.map(show).join(' ')}${where}\n`);
}

/** Does something, and traces what it returns or throws. */
function attempt(label, action) {
  let outcome;
  try {
    outcome = ['->', action()];
  } catch (error) {
    outcome = ['throws', error];
  }
  trace('', label, ...outcome);
  return outcome[1];
}

process.on('uncaughtExceptionMonitor', (error) => trace(':thrown', error));

function survive() {
  process.on('uncaughtException', () => {});
}

process.on('exit', (code) => trace('', 'process exit', code));

// Handles to send, and servers and sockets to use, by name.
const things = {};

const MESSAGES = {
  text: 'text',
  empty: '',
  number: 7,
  zero: -0,
  nan: Number.NaN,
  yes: true,
  nothing: null,
  object: { a: 1, list: [1, { b: null }] },
  list: [1, undefined, 'x'],
  absent: undefined,
  function: () => {},
  symbol: Symbol('symbol'),
  bigint: 1n,
  map: { map: new Map([[1, { two: 2 }]]), date: new Date(0), missing: undefined },
  bytes: { bytes: Buffer.from('bytes') },
  circle: circle(),
  json: { toJSON: () => 'from toJSON' },
  getter: {
    get own() {
      trace('', 'a getter runs');
      return 1;
    },
  },
  internal: { cmd: 'NODE_PARITY', value: 1 },
  almostInternal: { cmd: 'NODE_', value: 1 },
  large: 'x'.repeat(300_000),
};

function circle() {
  const object = { name: 'circle' };
  object.self = object;
  return object;
}

// ---- the primary

const forked = [];

/** The worker with this number. */
function worker(number) {
  return forked[number].worker;
}

function look({ id, state, exitedAfterDisconnect, process: child, isDead, isConnected }) {
  const self = { process: child };
  return [
    state,
    `dead=${isDead.call(self)}`,
    `connected=${isConnected.call(self)}/${child.connected}`,
    `meant=${exitedAfterDisconnect}`,
    `code=${child.exitCode}`,
    `signal=${child.signalCode}`,
    `killed=${child.killed}`,
    `channel=${child.channel == null ? child.channel : 'open'}`,
    `listed=${id in cluster.workers}`,
  ].join(' ');
}

function fork(number, env, isHeard = true) {
  // A hook may be called twice.
  if (forked[number]) return;
  const made = attempt(`fork ${number}`, () => cluster.fork({ W: `${number}`, ...env }));
  if (!(made instanceof cluster.Worker)) return;
  const it = { worker: made, seen: new Set(), waiting: [] };
  forked[number] = it;
  const heard = (on, event, ...facts) => {
    trace(`:w${number}`, on, event, ...facts, look(made));
    saw(it, event);
  };
  seeBeforeListeners(it, made.process);
  for (const event of ['online', 'listening', 'message', 'disconnect', 'exit']) {
    made.on(event, (...facts) => {
      if (facts[0]?.synced !== undefined) return saw(it, `sync ${facts[0].synced}`);
      heard('worker', event, ...facts.map(plainly));
      if (event === 'message') hear(it, facts[0]);
    });
  }
  for (const event of ['spawn', 'disconnect', 'exit', 'close']) {
    made.process.on(event, (...facts) => heard('process', event, ...facts));
  }
  made.process.on('internalMessage', (message) => {
    if (!/^NODE_(?:CLUSTER|HANDLE)/.test(message?.cmd))
      heard('process', 'internalMessage', message);
  });
  if (isHeard) made.on('error', (error) => heard('worker', 'error', error));
  for (const name of ['stdout', 'stderr']) readAll(number, name, made.process[name]);
  const emitters = { worker: made, process: made.process, cluster };
  for (const { via, how, event, action } of hooks[number] ?? []) {
    emitters[via][how](event, (...facts) => {
      if (via === 'cluster' && facts[0] !== made) return;
      trace(`:w${number}`, 'hook', via, event);
      action();
    });
  }
}

const hooks = [];

/** Runs an action at an event of a worker, once the worker has been forked. */
function hook(number, via, how, event, action) {
  hooks[number] ??= [];
  hooks[number].push({ via, how, event, action });
}

/** Records events before their listeners run, because listeners may throw. */
function seeBeforeListeners(it, emitter) {
  const { emit } = emitter;
  emitter.emit = function (event, ...facts) {
    if (event === 'exit' || event === 'disconnect') setImmediate(saw, it, event);
    return emit.call(this, event, ...facts);
  };
}

function readAll(number, name, stream) {
  if (!stream) return;
  let text = '';
  stream.setEncoding('utf8').on('data', (more) => {
    text += more;
  });
  // The printed text of an error depends on the stack.
  stream.on('end', () => trace(`:w${number}:${name}`, name === 'stdout' ? text : 'ends'));
}

/** Hides ports, which do not belong in a trace. */
function plainly(fact) {
  return fact && typeof fact === 'object' && 'addressType' in fact
    ? { ...fact, port: 'PORT' }
    : fact;
}

function hear(it, message) {
  if (message?.server !== undefined) things[message.server] = message.address;
  if (message?.ran !== undefined) saw(it, `ran ${message.ran}`);
}

function saw(it, what) {
  it.seen.add(what);
  it.waiting = it.waiting.filter((look) => !look());
}

for (const event of ['fork', 'online', 'listening', 'message', 'disconnect', 'exit']) {
  if (!cluster.isPrimary) break;
  cluster.on(event, (made, ...facts) => {
    if (facts[0]?.synced !== undefined) return;
    const number = forked.findIndex((it) => it?.worker === made);
    trace(`:w${number}`, 'cluster', event, ...facts.map(plainly), look(made));
    if (forked[number]) saw(forked[number], event);
  });
}
if (cluster.isPrimary) cluster.on('setup', (settings) => trace(':setup', shownSettings(settings)));

function shownSettings({ killMode, queueTimeout, ...settings }) {
  return inspect(settings, { breakLength: Number.POSITIVE_INFINITY });
}

/**
 * Waits until an event of a worker has come, or can no longer come. A worker that has disconnected also
 * gets time to exit, because most then do.
 */
async function until(number, what) {
  const it = forked[number];
  if (!it) return;
  await heardOf(it, what);
  if (!it.seen.has('disconnect') || it.isLasting) return;
  it.isLasting = !(await soon(heardOf(it, 'exit')));
}

function heardOf(it, what) {
  const isOver = () => {
    const { seen } = it;
    // Node does not always emit 'disconnect'.
    if (seen.has(what) || seen.has('close') || it.worker.process.pid === undefined) return true;
    return what !== 'exit' && seen.has('disconnect');
  };
  return new Promise((resolve) => {
    const look = () => {
      if (isOver()) resolve();
      return isOver();
    };
    if (!look()) it.waiting.push(look);
  });
}

let syncs = 0;

/**
 * Waits until all workers have done what they were told, and their answers have come: each worker answers a
 * message that follows everything else.
 */
async function barrier() {
  syncs += 1;
  const sign = syncs;
  for (const [number, it] of forked.entries()) {
    if (!it?.worker.process.pid) continue;
    if (it.worker.process.connected) it.worker.process.send({ sync: sign }, () => {});
    await until(number, `sync ${sign}`);
  }
  // The answers may come before the error of a client that has just been made: libuv reports that in the
  // next turn of the event loop.
  for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
}

const GRACE = 400;

/** Whether a promise resolves within a moment. */
async function soon(promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, GRACE, false);
  });
  const isSoon = await Promise.race([Promise.resolve(promise).then(() => true), late]);
  clearTimeout(timer);
  return isSoon;
}

/** Waits until a worker has exited and disconnected. */
async function untilGone(number) {
  const it = forked[number];
  if (!it) return;
  await heardOf(it, 'exit');
  // Node does not always emit 'disconnect'.
  await soon(heardOf(it, 'disconnect'));
}

/** A client of a server; resolves when the event `enough` has come. */
function client(name, target, enough = 'close') {
  const to = things[target] ?? target;
  if (to === undefined || to === null || to.transport) return void trace(`:${name}`, 'no target');
  const socket = net.connect(to);
  things[name] = socket;
  let text = '';
  return new Promise((resolve) => {
    socket.setEncoding('utf8').on('data', (more) => {
      text += more;
      if (enough === 'data') resolve();
    });
    socket.on('connect', () => {
      trace(`:${name}`, 'connect');
      if (enough === 'connect') resolve();
    });
    socket.on('error', (error) => trace(`:${name}`, error));
    socket.on('close', () => {
      trace(`:${name}`, 'close', text);
      resolve();
    });
  });
}

/** The primary's own server or socket. */
function own(name, what) {
  if (what === 'udp') {
    const socket = dgram.createSocket('udp4');
    things[name] = socket;
    return new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  }
  const server = net.createServer((socket) => socket.end('primary'));
  things[name] = server;
  if (what === 'closed') return undefined;
  server.on('error', (error) => trace(`:${name}`, error));
  return new Promise((resolve) => {
    server.once('error', resolve);
    server.listen({ port: 0, host: '127.0.0.1', ...what }, resolve);
  });
}

/** A connection in the primary that is to be sent to a worker. */
async function connection(name) {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const far = net.connect(server.address().port, '127.0.0.1');
  things[`${name}Far`] = far;
  far.on('error', () => {});
  far.setEncoding('utf8').on('data', (text) => trace(`:${name}`, 'far end reads', text));
  far.on('close', () => trace(`:${name}`, 'far end closes'));
  [things[name]] = await new Promise((resolve) =>
    server.once('connection', (...all) => resolve(all)),
  );
  things[name].on('error', () => {});
  server.close();
}

function datagram(target) {
  const { port, transport } = things[target] ?? {};
  if (transport !== 'udp') return;
  const socket = dgram.createSocket('udp4');
  socket.send('datagram', port, '127.0.0.1', () => socket.close());
}

/** Ends all workers, servers and clients that are left. */
async function finish() {
  for (const thing of Object.values(things)) if (thing instanceof net.Socket) thing.destroy();
  await barrier();
  await barrier();
  trace('', 'finish');
  for (const it of forked) {
    if (it && it.worker.process.exitCode === null && it.worker.process.signalCode === null) {
      it.worker.process.kill('SIGKILL');
    }
  }
  for (const number of forked.keys())
    if (forked[number]?.worker.process.pid) await untilGone(number);
  for (const thing of Object.values(things)) {
    if (!(thing instanceof net.Socket) && typeof thing?.close === 'function')
      attempt('', () => void thing.close());
  }
}

// ---- a worker

const commands = [];

function tell(message) {
  if (process.connected) process.send(message, () => {});
}

function lookAround() {
  const { worker: own } = cluster;
  return [
    own.state,
    `id=${own.id}`,
    `dead=${own.isDead()}`,
    `connected=${own.isConnected()}/${process.connected}`,
    `meant=${own.exitedAfterDisconnect}`,
    `channel=${process.channel == null ? process.channel : 'open'}`,
    `same=${own.process === process}`,
    `roles=${cluster.isPrimary}/${cluster.isWorker}/${cluster.isMaster}`,
  ].join(' ');
}

function lookAtProcess() {
  const { NODE_UNIQUE_ID, NODE_CHANNEL_FD, EXTRA } = process.env;
  const facts = [process.argv.slice(2), process.execArgv, NODE_UNIQUE_ID, NODE_CHANNEL_FD, EXTRA];
  return inspect([...facts, process.cwd() === TRACE, process.stdout.constructor.name]);
}

function listenToPrimary() {
  process.on('message', (message, handle) => {
    if (message?.sync !== undefined) return starting.tellWhenDone({ synced: message.sync });
    trace(':channel', 'message', message, ...(handle ? [handle] : []), lookAround());
    if (handle) use(handle);
    if (message?.run === undefined) return;
    try {
      commands[message.run]?.();
    } finally {
      starting.tellWhenDone({ ran: message.run });
      beSlowOnceAsked();
    }
  });
  beSlowOnceAsked();
}

/**
 * Servers that were told to listen, and do not listen yet. The primary learns that a command is done when all of
 * them listen.
 */
const starting = {
  names: new Set(),
  messages: [],
  add(name, server) {
    this.names.add(name);
    for (const event of ['listening', 'error', 'close'])
      server.once(event, () => this.remove(name));
  },
  remove(name) {
    this.names.delete(name);
    if (this.names.size === 0) for (const message of this.messages.splice(0)) tell(message);
  },
  tellWhenDone(message) {
    this.messages.push(message);
    this.remove();
  },
};

/** Shows that a received handle works. */
function use(handle) {
  if (handle instanceof net.Socket) handle.end(`from ${me}`);
  else if (handle instanceof net.Server) {
    handle.on('connection', (socket) => socket.end(me));
    handle.on('close', () => trace(':received', 'close'));
    handle.on('listening', () => trace(':received', 'listening'));
    things.received = handle;
  } else if (typeof handle.close === 'function') handle.close();
}

function listen(name, kind, ...target) {
  const server =
    kind === 'http' ? http.createServer((_, response) => response.end(me)) : net.createServer();
  things[name] = server;
  if (kind !== 'http') {
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      if (kind === 'reply') socket.end(me);
      else if (kind === 'greet') socket.write(me);
      else if (kind === 'destroy') socket.destroy();
      socket.resume();
    });
  }
  const say = (event, ...facts) => trace(`:${name}`, event, ...facts, cluster.worker.state);
  server.on('connection', () => say('connection'));
  server.on('close', () => say('close'));
  server.on('listening', () => {
    const address = server.address();
    say('listening', typeof address === 'object' ? address?.family : 'a path');
    tell({
      server: name,
      address:
        typeof address === 'string'
          ? { path: path.resolve(address) }
          : address && { port: address.port },
    });
  });
  server.on('error', (error) => say('error', error));
  starting.add(name, server);
  if (attempt(`listen ${name}`, () => server.listen(...target)) !== server) starting.remove(name);
}

function bind(name, ...target) {
  const socket = dgram.createSocket('udp4');
  things[name] = socket;
  const say = (event, ...facts) => trace(`:${name}`, event, ...facts, cluster.worker.state);
  socket.on('close', () => say('close'));
  socket.on('message', (message) => say('message', `${message}`));
  socket.on('listening', () => {
    say('listening', socket.address().address);
    tell({ server: name, address: { port: socket.address().port, transport: 'udp' } });
  });
  socket.on('error', (error) => say('error', error));
  starting.add(name, socket);
  if (attempt(`bind ${name}`, () => socket.bind(...target)) !== socket) starting.remove(name);
}

function close(name) {
  attempt(`close ${name}`, () =>
    things[name]?.close((error) => trace(`:${name}`, 'closed', error)),
  );
}
