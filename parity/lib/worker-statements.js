'use strict';

// The actions of a worker, as statements.

const { attempt, callback, message, send } = require('./primary-statements.js');

const TARGETS = [
  '0',
  "0, '127.0.0.1'",
  "{ port: 0, host: '127.0.0.1' }",
  "{ port: 0, host: '127.0.0.1' }",
  "{ port: 0, host: '127.0.0.1', exclusive: true }",
  "{ port: Number(process.env.PORT_A), host: '127.0.0.1' }",
  "{ port: Number(process.env.PORT_A), host: '127.0.0.1' }",
  "{ port: Number(process.env.PORT_A), host: '127.0.0.1', exclusive: true }",
  "{ port: Number(process.env.PORT_A), host: '127.0.0.1', backlog: 2 }",
  "{ port: Number(process.env.PORT_B), host: '::', ipv6Only: true }",
  '{ port: Number(process.env.PORT_B) }',
  "{ path: path.join(TRACE, 'a.sock') }",
  "{ path: path.join(TRACE, 'a.sock') }",
  "{ path: path.join(TRACE, 'a.sock'), exclusive: true }",
  "{ path: 'relative.sock' }",
  "{ path: '/nowhere/b.sock' }",
  "{ port: 0, host: '203.0.113.1' }",
  '{ fd: 999 }',
  '{ port: 70000 }',
  '{}',
];
const UDP_TARGETS = [
  '0',
  "0, '127.0.0.1'",
  "{ port: 0, address: '127.0.0.1', exclusive: true }",
  "Number(process.env.PORT_A), '127.0.0.1'",
  "0, '203.0.113.1'",
];
const KINDS = ['reply', 'reply', 'greet', 'hold', 'destroy', 'http'];

const LEAVING = {
  processDisconnect: () => attempt('process disconnect', 'process.disconnect()'),
  workerDisconnect: () => attempt('worker disconnect', 'cluster.worker.disconnect()'),
  kill: () => attempt('worker kill', 'cluster.worker.kill()'),
  destroy: () => attempt('worker destroy', "cluster.worker.destroy('SIGTERM')"),
  exit: (random) => `process.exit(${random.below(5)});`,
  exitCode: () => 'process.exitCode = 4;',
  signal: (random) =>
    `process.kill(process.pid, '${random.pick(['SIGTERM', 'SIGKILL', 'SIGINT'])}');`,
  throw: () => "throw new Error('thrown in a worker');",
  reject: () => "Promise.reject(new Error('rejected in a worker'));",
};
const LEAVING_WEIGHTS = {
  processDisconnect: 2,
  workerDisconnect: 3,
  kill: 1,
  destroy: 0.5,
  exit: 2,
  exitCode: 0.5,
  signal: 1,
  throw: 1,
  reject: 0.3,
};

const EVENTS = [
  ['process', 'disconnect'],
  ['cluster.worker', 'disconnect'],
  ['process', 'message'],
  ['cluster.worker', 'message'],
  ['cluster.worker', 'error'],
  ['process', 'SIGTERM'],
  ['process', 'SIGINT'],
  ['process', 'beforeExit'],
];

const SIMPLE = {
  look: () => `trace(':look', lookAround());`,
  process: () => `trace(':look', lookAtProcess());`,
  send: (random) => send(random, random.pick(['process', 'cluster.worker']), 'send'),
  output: () => "process.stdout.write('output\\n');",
  channel: (random) => attempt('channel', `process.channel?.${random.pick(['ref', 'unref'])}()`),
  enter: () => `context.enterWith('worker');`,
  hold: () => 'things.timer = setInterval(() => {}, 1000);',
  release: () => 'clearInterval(things.timer);',
};
const WEIGHTS = {
  listen: 6,
  bind: 1,
  server: 3,
  leave: 3,
  later: 1,
  event: 2,
  look: 1.5,
  process: 1,
  send: 3,
  output: 0.7,
  channel: 0.5,
  enter: 0.4,
  hold: 0.3,
  release: 0.3,
};

function workerStatements(draft, number) {
  const { random } = draft;
  const name = random.weighted(WEIGHTS);
  return SIMPLE[name] ? SIMPLE[name](random) : COMPOSED[name](draft, number);
}

const COMPOSED = {
  listen(draft, number) {
    const { random } = draft;
    const name = draft.name(`server${number}_`);
    draft.servers.push(name);
    const code = `listen('${name}', '${random.pick(KINDS)}', ${random.pick(TARGETS)});`;
    return random.oneIn(5) ? `${code} ${onServer(draft, number, name)}` : code;
  },
  bind(draft, number) {
    const name = draft.name(`server${number}_`);
    draft.servers.push(name);
    return `bind('${name}', ${draft.random.pick(UDP_TARGETS)});`;
  },
  server({ random, servers }, number) {
    const mine = servers.filter((name) => name.startsWith(`server${number}_`));
    if (mine.length === 0) return SIMPLE.look();
    const name = random.pick(mine);
    const action = random.pick([
      'close',
      'close',
      'close',
      'unref',
      'ref',
      'max',
      'none',
      'address',
      'again',
      'connections',
      'listeningNow',
    ]);
    const codes = {
      close: `close('${name}');`,
      unref: `things.${name}?.unref();`,
      ref: `things.${name}?.ref();`,
      max: `if (things.${name}) things.${name}.maxConnections = ${random.below(2) + 1};`,
      none: `close('${name}'); close('${name}');`,
      address: attempt('address', `typeof things.${name}?.address()`),
      again: attempt('listen again', `things.${name}?.listen?.(0, '127.0.0.1')`),
      connections: `things.${name}?.getConnections?.((...all) => trace(':${name}', 'connections', ...all));`,
      listeningNow: attempt('listening', `things.${name}?.listening`),
    };
    return codes[action];
  },
  leave: ({ random }) => leave(random),
  later(draft, number) {
    const code = workerStatements(draft, number);
    const how = draft.random.pick(['process.nextTick', 'setImmediate', 'queueMicrotask']);
    return `${how}(() => { ${code} });`;
  },
  event(draft, number) {
    const { random } = draft;
    const [target, event] = random.pick(EVENTS);
    const how = random.pick(['on', 'once', 'prependListener']);
    const then = random.oneIn(3)
      ? ''
      : ` ${random.oneIn(2) ? leave(random) : workerStatements(draft, number)}`;
    const label = `${target} ${event}`;
    return `${target}.${how}('${event}', () => { trace(':event', '${label}', lookAround());${then} });`;
  },
};

/** An action in an event of a server. */
function onServer(draft, number, name) {
  const { random } = draft;
  const event = random.pick(['listening', 'listening', 'error', 'close', 'connection']);
  const code = random.oneIn(2) ? leave(random) : workerStatements(draft, number);
  return `things.${name}.${random.pick(['on', 'once', 'prependListener'])}('${event}', () => { ${code} });`;
}

function leave(random) {
  return LEAVING[random.weighted(LEAVING_WEIGHTS)](random);
}

module.exports = { callback, message, workerStatements };
