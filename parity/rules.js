'use strict';

// The differences that are meant. Each rule takes out of a trace, whichever side it is of, what depends on
// one of them; `*` matches any word of the other side. `difference` says which line of *All differences* in
// docs/from-node-cluster.md it stands for; without one, the rule is about what no program can rely on.

/** @typedef {import('./lib/run.js').Trace} Trace */

/** A stream that may be anything. */
const ANY_LINES = '**';

/** The numbers of the workers in a trace, with their streams. */
function* workersOf(trace) {
  for (const [stream, lines] of trace) {
    const [, number] = /^P:w(\d+)$/.exec(stream) ?? [];
    if (number) yield { stream, number, lines };
  }
}

function isAbout(line, event) {
  return new RegExp(`^(?:worker|process|cluster|hook \\w+) ${event}\\b`).test(line);
}

/** What the order of `'disconnect'` and `'exit'` shows in. */
function masked(line) {
  return line
    .replace(/ (none|online|listening|disconnected|dead|disconnecting) dead=/, ' * dead=')
    .replace(/(dead|connected|code|signal|channel|listed)=\S+/g, '$1=*');
}

function hasCalled(trace, call, number) {
  return (trace.get('P') ?? []).filter((line) => line.startsWith(`${call} ${number} `)).length;
}

function without(text, event) {
  const lines = text.split('\n').filter((line) => !isAbout(line, event));
  return lines.map(masked).join('\n');
}

/**
 * @typedef {object} Rule
 * @property {string} [difference]
 * @property {string} reason
 * @property {(trace: Trace) => void} [apply]
 * @property {(expected: string, actual: string, isSame: Function) => boolean} [allows] whether the referee may
 *   have the one text, and rs-cluster the other, of a stream
 */

/** @type {Rule[]} */
module.exports = [
  {
    difference: "order of `'disconnect'` and `'exit'`",
    reason: 'Node emits them as the kernel happens to report them; here nothing follows an exit.',
    apply(trace) {
      for (const { stream, lines } of workersOf(trace)) {
        const exit = lines.findIndex((line) => isAbout(line, 'exit'));
        const late = lines.findLastIndex(
          (line) => isAbout(line, 'disconnect') || isAbout(line, 'message'),
        );
        if (exit === -1 || late < exit) continue;
        const isEnd = (line) => isAbout(line, 'exit') || isAbout(line, 'close');
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
    difference: "`'close'` after `worker.process.disconnect()`",
    reason: 'Node never emits it.',
    apply(trace) {
      for (const { stream, number, lines } of workersOf(trace)) {
        if (hasCalled(trace, 'process disconnect', number) === 0) continue;
        trace.set(
          stream,
          lines.filter((line) => !isAbout(line, 'close')),
        );
      }
    },
  },
  {
    difference: '`fork()` that fails to start a process',
    reason: 'Node keeps the worker, with a channel that has no other end.',
    apply(trace) {
      for (const { stream, number, lines } of workersOf(trace)) {
        // Such a process has a negative exit code: that of the system's error.
        if (!lines.some((line) => / code=-\d/.test(line))) continue;
        trace.delete('P:thrown');
        trace.set(stream, ['could not be started']);
        // Hooks of that worker are told from others by nothing.
        for (const other of ['P:look', 'P:hook', 'P:all', 'P:setup']) trace.delete(other);
        trace.delete(`P:send${number}`);
        const about = new RegExp(` ${number}(?: \\d+)? (?:->|throws) `);
        trace.set(
          'P',
          trace.get('P').filter((line) => !about.test(line)),
        );
      }
    },
  },
  {
    reason: 'Which of several signals ends a process is for the kernel to say.',
    apply(trace) {
      const isFinished = trace.get('P')?.includes('finish') ? 1 : 0;
      for (const { stream, number, lines } of workersOf(trace)) {
        const calls = ['kill', 'process kill', 'destroy'].map((call) =>
          hasCalled(trace, call, number),
        );
        if (calls.reduce((sum, count) => sum + count, isFinished) < 2) continue;
        trace.set(
          stream,
          lines.map((line) =>
            line
              .replace(/ (?:null|\d+) (?:null|SIG\w+) /, ' * * ')
              .replace(/(code|signal)=\S+/g, '$1=*'),
          ),
        );
      }
    },
  },
  {
    difference: "order of `'disconnect'` and `'exit'`",
    reason:
      "Node does not emit 'disconnect' for a worker that dies while a handle is on its way to it.",
    allows: (expected, actual, isSame) =>
      /^worker exit /m.test(expected) &&
      !/^worker disconnect /m.test(expected) &&
      isSame(without(expected, 'disconnect'), without(actual, 'disconnect')),
  },
  {
    reason:
      'Whether a message still goes into a channel whose other end is being closed, or is an EPIPE, depends on who is faster. A worker may die of it.',
    apply(trace) {
      for (const [stream, lines] of [...trace]) {
        if (!lines.some((line) => line.includes('EPIPE'))) continue;
        const [number] = /\d+/.exec(stream) ?? [];
        for (const other of trace.keys()) {
          if (new RegExp(`^(?:W|P:\\D*)${number}\\b`).test(other)) trace.set(other, [ANY_LINES]);
        }
      }
    },
  },
  {
    difference: "a listener of `'disconnect'`, `'exit'` or `'listening'` that throws",
    reason: "Node does not emit 'close' afterwards, and leaves its own bookkeeping undone.",
    apply(trace) {
      for (const line of trace.get('P:thrown') ?? []) {
        const [, number] = /thrown in hook (\d+) \w+ \w+ (?:disconnect|exit)/.exec(line) ?? [];
        const stream = `P:w${number}`;
        if (!trace.has(stream)) continue;
        trace.set(
          stream,
          trace.get(stream).filter((it) => !isAbout(it, 'close')),
        );
      }
    },
  },
  {
    reason:
      'Once Node has had to wait for the channel, the channel no longer holds the primary; after `worker.process.unref()` nothing does, and it may end in the middle of the program.',
    apply(trace) {
      const main = trace.get('P') ?? [];
      if (main.includes('finish') || !main.some((line) => line.startsWith('unref '))) return;
      for (const stream of trace.keys()) trace.set(stream, [ANY_LINES]);
    },
  },
  {
    reason:
      'A worker whose channel does not hold it ends when it has nothing else to do: before or after the next message.',
    apply(trace) {
      for (const { stream, number } of workersOf(trace)) {
        const main = trace.get(`W${number}`) ?? [];
        if (!main.some((line) => line.startsWith('channel ->'))) continue;
        trace.set(stream, [ANY_LINES]);
        for (const other of trace.keys()) {
          if (other.startsWith(`W${number}`)) trace.set(other, [ANY_LINES]);
        }
      }
    },
  },
];
