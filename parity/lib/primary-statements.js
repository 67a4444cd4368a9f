'use strict';

// The actions of a primary, as statements.

const SIGNALS = [
  '',
  "'SIGTERM'",
  "'SIGKILL'",
  "'SIGINT'",
  "'SIGUSR2'",
  '15',
  '0',
  "'SIGNOPE'",
  "'sigterm'",
];
const MESSAGES = [
  ...[
    'text',
    'object',
    'list',
    'number',
    'yes',
    'nothing',
    'zero',
    'nan',
    'empty',
    'json',
    'internal',
  ],
  ...[
    'almostInternal',
    'absent',
    'function',
    'symbol',
    'bigint',
    'map',
    'bytes',
    'circle',
    'getter',
    'large',
  ],
];

const attempt = (label, call) => `attempt('${label}', () => ${call});`;

function message(random) {
  return `MESSAGES.${random.oneIn(2) ? random.pick(MESSAGES.slice(0, 4)) : random.pick(MESSAGES)}`;
}

function callback(random, label, stream = '') {
  if (random.oneIn(2)) return [];
  return [`(...all) => trace(':send${stream}', '${label}', ...all)`];
}

/** A call of `send()`: of a worker, or of a worker's process. */
function send(random, sender, label, handle) {
  const rest = handle
    ? [handle]
    : random.oneIn(12)
      ? [random.pick(['{}', 'null', "'handle'", '0'])]
      : [];
  if (rest.length > 0 && random.oneIn(3)) {
    rest.push(random.pick(['{ keepOpen: true }', '{}', 'undefined', 'null', "'options'"]));
  }
  const sent = message(random);
  const args = [
    sent,
    ...rest,
    ...callback(random, `${label} called back`, label.replace(/\D/g, '')),
  ];
  // With a large message, the returned value depends on the kernel: see the rules.
  const shown = sent.endsWith('.large') ? `${label} large` : label;
  return attempt(shown, `${sender}.send(${args.join(', ')})`);
}

function settings(random) {
  const all = {
    silent: ['true', 'false'],
    stdio: [
      "['pipe', 'pipe', 'pipe', 'ipc']",
      "['ignore', 'ignore', 'ignore', 'ipc']",
      "['ipc', 'pipe', 'ignore']",
      "['pipe']",
      "'pipe'",
      "['pipe', 'ipc', 'ipc']",
      "['ignore', 'pipe', 'inherit', 'pipe', 'ipc']",
    ],
    serialization: ["'advanced'", "'advanced'", "'json'", "'other'"],
    args: ["['one', 'two']", '[]', '[1, null]'],
    execArgv: ["['--no-warnings']", '[]', "['--stack-trace-limit=5']"],
    cwd: ['TRACE', "'/nowhere'", 'undefined'],
    windowsHide: ['true'],
    exec: ["'/nowhere/program.js'"],
    inspectPort: ['12345', 'null', "'none'"],
  };
  const weights = {
    silent: 3,
    stdio: 3,
    serialization: 4,
    args: 2,
    execArgv: 2,
    cwd: 2,
    windowsHide: 0.5,
    exec: 0.4,
    inspectPort: 0.4,
  };
  const chosen = new Map();
  for (let left = 1 + random.below(2); left > 0; left -= 1) {
    const name = random.weighted(weights);
    chosen.set(name, random.pick(all[name]));
  }
  const text = [...chosen].map(([name, value]) => `${name}: ${value}`).join(', ');
  const call = random.oneIn(4) ? 'setupMaster' : 'setupPrimary';
  return attempt('setup', `cluster.${call}({ ${text} })`);
}

const processDisconnect = (label, n) =>
  attempt(`${label} ${n}`, `worker(${n}).process.disconnect()`);

const SIMPLE = {
  look: (n) => `trace(':look', '${n}', look(worker(${n})));`,
  keys: () => `trace(':look', Object.keys(cluster.workers).length);`,
  send: (n, random) =>
    send(random, random.oneIn(4) ? `worker(${n}).process` : `worker(${n})`, `send ${n}`),
  disconnect: (n) => attempt(`disconnect ${n}`, `worker(${n}).disconnect()`),
  kill: (n, random) => attempt(`kill ${n}`, `worker(${n}).kill(${random.pick(SIGNALS)})`),
  destroy: (n) => attempt(`destroy ${n}`, `worker(${n}).destroy()`),
  processKill: (n, random) =>
    attempt(`process kill ${n}`, `worker(${n}).process.kill(${random.pick(SIGNALS)})`),
  disconnectAll: (_n, random) =>
    random.oneIn(4)
      ? attempt('disconnect all', 'cluster.disconnect()')
      : attempt(
          'disconnect all',
          "cluster.disconnect((...all) => trace(':all', 'disconnected', ...all))",
        ),
  settings: (_n, random) => settings(random),
  unref: (n, random) =>
    attempt(
      `unref ${n}`,
      `worker(${n}).process.${random.pick(['unref()', 'ref()', 'channel.unref()', 'channel.ref()'])}`,
    ),
  enter: () => `context.enterWith('primary');`,
  emit: (n) => attempt(`emit ${n}`, `worker(${n}).emit('custom')`),
  exit: (_n, random) => `process.exit(${random.below(3)});`,
  exitCode: () => 'process.exitCode = 3;',
  newWorker: () => attempt('new worker', `new cluster.Worker({ id: 77, state: 'odd' }).id`),
};
const WEIGHTS = {
  look: 2,
  keys: 1,
  send: 5,
  disconnect: 3,
  processDisconnect: 1,
  kill: 3,
  destroy: 0.5,
  processKill: 2,
  disconnectAll: 1,
  settings: 1,
  unref: 1,
  enter: 0.5,
  emit: 0.3,
  exit: 0.5,
  exitCode: 0.2,
  newWorker: 0.2,
};
const AWAITED = {
  client: 4,
  talk: 2,
  own: 1,
  sendOwn: 3,
  connection: 1,
  datagram: 1,
  untilGone: 2,
  untilDisconnect: 1,
};

const SERVERS = [
  "'udp'",
  "'closed'",
  '{}',
  "{ path: path.join(TRACE, 'own.sock') }",
  '{ port: Number(process.env.PORT_A) }',
];

/** Statements of the main program, which can wait for something. */
const STEPS = {
  client(draft) {
    const name = draft.name('client');
    draft.clients.push(name);
    const { random } = draft;
    const target = random.pick([...draft.servers, ...draft.servers, 'nowhere']);
    const enough = random.pick(['close', 'connect', 'data', 'connect']);
    // The program does not wait for an answer or an end, which may never come.
    const wait = enough === 'connect' ? 'await ' : '';
    return [`${wait}client('${name}', '${target}', '${enough}');`];
  },
  talk({ random, clients }) {
    if (clients.length === 0) return [];
    const call = random.pick(['end()', 'destroy()', "write('more')", 'resetAndDestroy()']);
    return [attempt('talk', `void things.${random.pick(clients)}?.${call}`)];
  },
  own(draft) {
    const name = draft.name('own');
    draft.handles.push(name);
    return [`await own('${name}', ${draft.random.pick(SERVERS)});`];
  },
  connection(draft) {
    const name = draft.name('connection');
    draft.handles.push(name);
    return [`await connection('${name}');`];
  },
  sendOwn(draft, n) {
    const { random } = draft;
    const made = random.oneIn(2) ? STEPS.connection(draft) : STEPS.own(draft);
    const handle = random.pick(draft.handles);
    const label = `send ${n} a handle`;
    return [
      ...made,
      send(
        random,
        `worker(${n})`,
        label,
        `things.${random.oneIn(6) ? `${handle}._handle` : handle}`,
      ),
    ];
  },
  datagram({ random, servers }) {
    if (servers.length === 0) return [];
    return [`datagram('${random.pick(servers)}');`];
  },
  untilGone: (_draft, n) => [`await untilGone(${n});`],
  untilDisconnect: (_draft, n) => [`await until(${n}, 'disconnect');`],
  // Node's event comes in the next tick: see the rules. Waiting for it gives the next statements the same
  // state.
  processDisconnect: (_draft, n) => [
    processDisconnect('process disconnect', n),
    `await until(${n}, 'disconnect');`,
  ],
};
/** Statements of a listener, which cannot wait for anything. */
const NOT_AWAITED = {
  processDisconnect: (_draft, n) => [processDisconnect('process disconnect at once', n)],
};
/** Statements that come before others, which could otherwise wait forever. */
const BEFORE = {
  untilGone: (n) => attempt(`kill ${n}`, `worker(${n}).process.kill('SIGKILL')`),
  untilDisconnect: (n, random) =>
    random.pick([SIMPLE.disconnect(n), processDisconnect('process disconnect', n)]),
};

/** One of these statements, or a few that belong together. */
function primaryStatements(draft, number, { isAwaited }) {
  const { random } = draft;
  const name = random.weighted(isAwaited ? { ...WEIGHTS, ...AWAITED } : WEIGHTS);
  if (SIMPLE[name]) return [SIMPLE[name](number, random)];
  const before = BEFORE[name] ? [BEFORE[name](number, random)] : [];
  const steps = isAwaited ? STEPS : NOT_AWAITED;
  return [...before, ...steps[name](draft, number)];
}

module.exports = { MESSAGES, attempt, callback, message, primaryStatements, send, settings };
