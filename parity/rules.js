'use strict';

// The intended differences. A rule removes from both traces what differs (`apply`; `*` stands for any word
// of the other trace), or accepts two texts of a stream, that of the reference and that of rs-cluster
// (`allows`). `difference` is the row of *All differences* in docs/from-node-cluster.md to which the rule
// belongs. A rule without it is about results on which no program can rely.

const { isSame } = require('./lib/trace.js');

/**
 * @typedef {object} Rule
 * @property {string} [difference]
 * @property {string} reason
 * @property {(trace: import('./lib/trace.js').Trace) => void} [apply]
 * @property {(expected: string, actual: string) => boolean} [allows]
 */

/** The numbers of the workers in a trace, with what the primary traces about each. */
function* workersOf(trace) {
  for (const [stream, lines] of [...trace]) {
    const [, number] = /^P:w(\d+)$/.exec(stream) ?? [];
    if (number) yield { stream, number, lines };
  }
}

function isAbout(line, event) {
  return new RegExp(`^(?:worker|process|cluster|hook \\w+) ${event}\\b`).test(line);
}

/** Masks the words that depend on the order of `'disconnect'` and `'exit'`. */
function masked(line) {
  return line
    .replace(/ (none|online|listening|disconnected|dead|disconnecting) dead=/, ' * dead=')
    .replace(/(dead|connected|code|signal|channel|listed)=\S+/g, '$1=*');
}

function without(text, event) {
  const lines = text.split('\n').filter((line) => !isAbout(line, event));
  return lines.map(masked).join('\n');
}

/** How often the main program has called a method of a worker. */
function callsOf(trace, call, number) {
  return trace.lines('P').filter((line) => line.startsWith(`${call} ${number} `)).length;
}

/**
 * Masks the outcomes of calls of `send()`, from the first one that matches; returns whether there is one.
 */
function maskSendsFrom(trace, stream, pattern) {
  const lines = trace.lines(stream);
  const first = lines.findIndex((line) => /^(?:send|run) /.test(line) && pattern.test(line));
  if (first === -1) return false;
  const masked = lines.map((line, at) =>
    at >= first ? line.replace(/^((?:send|run) .*?)(?:->|throws) .*/, '$1*') : line,
  );
  trace.set(stream, masked);
  return true;
}

/** @type {Rule[]} */
module.exports = [
  {
    difference: "order of `'disconnect'` and `'exit'`",
    reason:
      "Node emits them in the order in which the kernel reports them; here 'exit' is the last.",
    apply(trace) {
      for (const { stream, lines } of workersOf(trace)) {
        const isLate = (line) => isAbout(line, 'disconnect') || isAbout(line, 'message');
        const isEnd = (line) => isAbout(line, 'exit') || isAbout(line, 'close');
        const exit = lines.findIndex((line) => isAbout(line, 'exit'));
        if (exit === -1 || lines.findLastIndex(isLate) < exit) continue;
        const swapped = lines.map((line, at) =>
          at >= exit || isAbout(line, 'disconnect') ? masked(line) : line,
        );
        trace.set(stream, [
          ...swapped.filter((line) => !isEnd(line)),
          ...swapped.filter((line) => isAbout(line, 'exit')),
          ...swapped.filter((line) => isAbout(line, 'close')),
        ]);
      }
    },
  },
  {
    difference: "order of `'disconnect'` and `'exit'`",
    reason: "Node has no 'disconnect' of a worker that dies while a handle is on its way to it.",
    // A listener of that event may end the primary.
    apply(trace) {
      for (const { number, lines } of workersOf(trace)) {
        const asks =
          trace.lines(`W${number}`).some((line) => /^(?:listen|bind) /.test(line)) ||
          callsOf(trace, 'send', `${number} a handle`) > 0;
        const hears = (event) => lines.some((line) => isAbout(line, event));
        if (asks && hears('exit') && !hears('disconnect')) trace.leaveOut(/./);
      }
    },
    allows: (expected, actual) =>
      /^worker exit /m.test(expected) &&
      !/^worker disconnect /m.test(expected) &&
      isSame(without(expected, 'disconnect'), without(actual, 'disconnect')),
  },
  {
    difference: "`'disconnect'` after `worker.process.disconnect()`",
    reason:
      "Node emits 'disconnect' in the next tick, before errors of messages that are sent then; here it comes " +
      'when the addresses of the worker are free.',
    apply(trace) {
      for (const { stream, lines } of workersOf(trace)) {
        const isClosed = (line) =>
          / error Error ERR_IPC_(?:CHANNEL_CLOSED|DISCONNECTED)/.test(line);
        const errors = lines
          .filter(isClosed)
          .map((line) => masked(line).replace(/meant=\w+/, 'meant=*'));
        const others = lines.filter((line) => !isClosed(line));
        trace.set(stream, [...others, ...errors]);
      }
      // If the main program does not wait for the event, it goes on earlier in Node: later calls, and
      // clients, find another state.
      for (const { number } of workersOf(trace)) {
        if (callsOf(trace, 'process disconnect at once', number) === 0) continue;
        trace.leaveOut(new RegExp(`^P:(?:w${number}\\b|client|look$)`));
        // Listeners for the end of the worker also run at another time.
        const lines = trace.lines(`P:w${number}`);
        if (lines.some((line) => /^hook \w+ (?:disconnect|exit)/.test(line))) trace.leaveOut(/./);
      }
    },
  },
  {
    difference: 'callback of `cluster.disconnect()`',
    reason:
      "Node calls it back with the first worker, in that worker's context; here the primary may have ended " +
      'before the engine has closed everything.',
    apply(trace) {
      if (trace.lines('P').some((line) => /^process exit [^0]/.test(line))) {
        trace.leaveOut(/^P:all$/);
      }
      if (!trace.has('P:all')) return;
      const lines = trace
        .lines('P:all')
        .map((line) => line.replace(/ in (?:fork \d+|primary)$/, ''));
      trace.set('P:all', lines);
    },
  },
  {
    difference: "`'close'` after `worker.process.disconnect()`",
    reason: 'Node never emits it.',
    apply(trace) {
      for (const { stream, number, lines } of workersOf(trace)) {
        const calls = ['process disconnect', 'process disconnect at once'];
        if (calls.every((call) => callsOf(trace, call, number) === 0)) continue;
        const others = lines.filter((line) => !isAbout(line, 'close'));
        trace.set(stream, others);
      }
    },
  },
  {
    difference: "disconnect of a worker whose channel is a standard stream (`stdio: ['ipc', …]`)",
    reason: 'In Node the primary does not learn of it, and the program waits for it.',
    apply(trace) {
      const calls = [...trace].filter(([stream]) => /^(?:P|W\d+)$/.test(stream)).flat(2);
      const isFirst = trace.lines('P:setup').some((line) => line.includes("stdio: [ 'ipc'"));
      if (isFirst && calls.some((line) => line.includes('disconnect'))) trace.leaveOut(/./);
    },
  },
  {
    difference: "`'listening'` of a server that has tried before",
    reason: 'Node emits one for each attempt.',
    apply(trace) {
      for (const { stream, number, lines } of workersOf(trace)) {
        if (!trace.lines(`W${number}`).some((line) => line.startsWith('listen again'))) continue;
        // The address of the event shows to which attempt it belongs; what listeners do does not.
        const others = lines.filter((line) => !isAbout(line, 'listening'));
        trace.set(stream, others);
      }
    },
  },
  {
    difference: "`'close'` of a server in a worker",
    reason:
      "Here 'close' comes later, and so does the end of a worker that disconnects; Node does not answer what " +
      "the worker asks meanwhile. The worker may have disconnected before 'close'.",
    apply(trace) {
      for (const [stream, lines] of trace) {
        if (!/^W\d+:server/.test(stream)) continue;
        const inAnyState = lines.map((line) => line.replace(/^close \w+/, 'close *'));
        trace.set(stream, inAnyState);
      }
      for (const { number } of workersOf(trace)) {
        const lines = trace.lines(`W${number}`);
        const left = lines.findIndex((line) => /^worker (?:disconnect|kill|destroy) ->/.test(line));
        const asked = lines.findLastIndex((line) => /^(?:listen|bind) /.test(line));
        const main = trace.lines('P');
        const told = main.findIndex((line) =>
          new RegExp(`^disconnect (?:${number}|all) `).test(line),
        );
        const run = main.findLastIndex((line) => line.startsWith(`run ${number} `));
        const isAskedLater = (left !== -1 && asked > left) || (told !== -1 && run > told);
        const isClosing = (left !== -1 || told !== -1) && lines.some((it) => /^close /.test(it));
        if (asked === -1 || !(isAskedLater || isClosing)) continue;
        trace.leaveOutWorker(number);
        // Listeners of the primary act on the end of such a worker, which comes at another time.
        trace.leaveOut(/^(?:P|end)\b/);
      }
    },
  },
  {
    difference: '`listen()` that is answered while the worker disconnects',
    reason:
      'In Node the worker keeps the server, which keeps the worker running; no client connects to it any more.',
    apply(trace) {
      for (const [stream, lines] of [...trace]) {
        const [, number] = /^W(\d+):server/.exec(stream) ?? [];
        const isLate = (line) => /^listening .* (?:disconnecting|destroying)$/.test(line);
        if (!number || !lines.some(isLate)) continue;
        trace.leaveOutWorker(number);
        trace.leaveOut(/^(?:P|end)\b/);
      }
    },
  },
  {
    difference: "a listener of `'disconnect'`, `'exit'` or `'listening'` that throws",
    reason:
      "Node does not emit 'close' afterwards, and may keep the worker in cluster.workers forever.",
    apply(trace) {
      for (const line of trace.lines('P:thrown')) {
        const [, number] = /thrown in hook (\d+) \w+ \w+ (?:disconnect|exit)/.exec(line) ?? [];
        const stream = `P:w${number}`;
        if (!trace.has(stream)) continue;
        const others = trace.lines(stream).filter((it) => !isAbout(it, 'close'));
        const unlisted = others.map((it) => it.replace(/listed=\S+/, 'listed=*'));
        trace.set(stream, unlisted);
        trace.leaveOut(/^P:look$/);
      }
    },
  },
  {
    difference: '`fork()` that fails to start a process',
    reason: 'Node keeps the worker, with a channel that has no other end.',
    apply(trace) {
      for (const { number, lines } of workersOf(trace)) {
        // Such a process has a negative exit code, which is the system's error.
        if (!lines.some((line) => / code=-\d/.test(line))) continue;
        trace.leaveOutWorker(number);
        // These streams do not say which worker they are about.
        trace.leaveOut(/^P:(?:look|hook|all|setup|thrown)$/);
        const about = new RegExp(` ${number}(?: \\d+)? (?:->|throws) `);
        const others = trace.lines('P').filter((line) => !about.test(line));
        trace.set('P', others);
      }
    },
  },
  {
    difference: '`worker.disconnect()` twice, in the primary or at both ends',
    reason:
      "In Node the second call is an 'error' in the worker, without a call there, and may end the worker.",
    apply(trace) {
      for (const { number } of workersOf(trace)) {
        const calls = callsOf(trace, 'disconnect', number) + callsOf(trace, 'disconnect', 'all');
        const isOwn = (line) => /^worker (?:disconnect|kill|destroy) ->/.test(line);
        const own = trace.lines(`W${number}`).filter(isOwn).length;
        if (calls > 0 && calls + own > 1) trace.leaveOutWorker(number);
      }
    },
  },
  {
    difference: 'messages and a disconnect behind `send(message, handle)`',
    reason:
      'Node sends them only after the receiver has read the handle, and serializes messages only then. ' +
      'Until it disconnects, the sender receives what the other end sends.',
    apply(trace) {
      for (const { stream, number } of workersOf(trace)) {
        const calls = trace.lines('P').filter((line) => line.includes(` ${number} `));
        const sent = calls.findIndex((line) => line.startsWith(`send ${number} a handle `));
        const left = calls.findLastIndex((line) => line.startsWith('process disconnect'));
        if (sent !== -1 && left > sent) trace.leaveOut(new RegExp(`^${stream}\\b`));
        // A worker that is told to disconnect behind a handle may not end in Node.
        const isTold = trace.lines('P').some((line) => line.startsWith('disconnect '));
        if (sent !== -1 && isTold) trace.leaveOut(/^end$/);
      }
      const isRefused = (line) => /circular structure|serialize a BigInt/.test(line);
      const someRefused = [...trace.values()].flat().some(isRefused);
      for (const stream of trace.keys()) {
        if (!maskSendsFrom(trace, stream, / a handle /)) continue;
        trace.leaveOut(new RegExp(`^${stream}:(?:send\\d*|thrown)$`));
        // `send()` throws; in Node this may end the process later.
        if (!someRefused) continue;
        if (stream === 'P') trace.leaveOut(/./);
        else trace.leaveOutWorker(stream.slice(1));
      }
    },
  },
  {
    difference: '`process.exit()` with messages queued',
    reason: 'Node loses them.',
    apply(trace) {
      for (const { stream, number, lines } of workersOf(trace)) {
        const main = trace.lines(`W${number}`);
        if (!main.some((line) => / large (?:->|throws)/.test(line))) continue;
        const isKilled = lines.some((line) => isAbout(line, 'exit') && / null SIG/.test(line));
        if (!isKilled && !main.some((line) => line.startsWith('process exit'))) continue;
        const others = lines.filter((line) => !/^\w+ message x{50}/.test(line));
        trace.set(stream, others);
        trace.leaveOut(new RegExp(`^W${number}:send`));
        // What listeners of that message do.
        if (lines.some((line) => /^hook \w+ message/.test(line))) trace.leaveOut(/^P\b/);
      }
    },
  },
  {
    reason: 'The kernel decides whether a large message has been written when `send()` returns.',
    apply(trace) {
      for (const stream of trace.keys()) maskSendsFrom(trace, stream, / large (?:->|throws)/);
    },
  },
  {
    reason: 'An internal assertion of Node has failed.',
    apply(trace) {
      const isBroken = [...trace.values()]
        .flat()
        .some((it) => it.includes('ERR_INTERNAL_ASSERTION'));
      if (isBroken) trace.leaveOut(/./);
    },
  },
  {
    reason: 'The kernel decides which of several signals ends a process.',
    apply(trace) {
      const isFinished = trace.lines('P').includes('finish') ? 1 : 0;
      for (const { stream, number, lines } of workersOf(trace)) {
        const calls = ['kill', 'process kill', 'destroy'].map((it) => callsOf(trace, it, number));
        if (calls.reduce((sum, count) => sum + count, isFinished) < 2) continue;
        const anyEnd = lines.map((line) =>
          line
            .replace(/ (?:null|\d+) (?:null|SIG\w+) /, ' * * ')
            .replace(/(code|signal)=\S+/g, '$1=*'),
        );
        trace.set(stream, anyEnd);
      }
    },
  },
  {
    reason:
      'While the other end of a channel is being closed, a message may still be sent, or fail with EPIPE: this ' +
      'depends on which process is faster. EPIPE may end a worker.',
    apply(trace) {
      for (const [stream, lines] of trace) {
        const [number] = /\d+/.exec(stream) ?? [];
        // Listeners of 'error' do not trace the error.
        if (!lines.some((line) => /EPIPE|^(?:cluster\.worker|process) error/.test(line))) continue;
        trace.leaveOutWorker(number);
        // The main program's calls to this worker, and streams that do not name it.
        trace.leaveOut(/^P(?::(?:look|hook|thrown))?$/);
      }
    },
  },
  {
    reason:
      'Once Node has had to wait for room in the channel, the channel no longer keeps the primary running. ' +
      'After `worker.process.unref()` nothing does, and the primary ends in the middle of the program.',
    apply(trace) {
      const main = trace.lines('P');
      const isUnreferenced = main.some((line) => line.startsWith('unref '));
      if (isUnreferenced && !main.includes('finish')) trace.leaveOut(/./);
    },
  },
  {
    reason:
      'A worker whose channel does not keep it running ends when it has nothing else to do: before or after ' +
      'the next message.',
    apply(trace) {
      for (const { number } of workersOf(trace)) {
        const main = trace.lines(`W${number}`);
        if (main.some((line) => line.startsWith('channel ->'))) trace.leaveOutWorker(number);
      }
    },
  },
];
