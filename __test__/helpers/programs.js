'use strict';

// Programs that a spec deploys, as text: each serves on the port of its first argument, or fails to.

/**
 * Answers with its `version`, pid and environment. It says when it begins with a request that it does not answer:
 * `/never`, `/spin` or `/wait`. `ready` runs when it listens.
 */
const serves = (version, { before = '', ready = '' } = {}) => `'use strict';
const http = require('node:http');
${before}
const begin = () => process.send('begun');
const routes = {
  '/never': begin,
  '/spin': () => { begin(); for (;;); },
  '/wait': () => { begin(); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); },
  '/exit': () => process.exit(5),
};
http.createServer((request, response) => {
  const { pid, env, argv } = process;
  const answer = () => response.end(JSON.stringify({ version: ${JSON.stringify(version)}, pid, env, argv }));
  (routes[request.url] ?? answer)();
}).listen(process.argv[2], '127.0.0.1', () => {
  ${ready}
});
`;

/** For the option `before`: tells the primary when the worker is about to listen. */
const TELLS_WHEN_IT_LISTENS = 'process.send({ listens: Date.now() });';

/** A program without servers, which says that it is ready in one of three ways, or does not. */
const worksWithoutServers = (says = '') => `'use strict';
const cluster = require(process.env.CLUSTER);
setInterval(() => {}, 1_000);
${says}
`;

/** How long a canary of the specs has to be well, in ms. */
const MIN_UPTIME = 300;

/**
 * Every way in which new code can be broken: its `source`, or its `defect`, which shows when it listens; the `phases` in
 * one of which it fails; a part of its stderr; and its end, unless it `isTooLate`.
 */
const BROKEN = {
  'has a syntax error': {
    source: 'const = 1;\n',
    phases: ['start', 'ready'],
    stderr: 'SyntaxError',
    exitCode: 1,
  },
  'exits at start': {
    source: "console.error('no database');\nprocess.exit(3);\n",
    phases: ['start', 'ready'],
    stderr: 'no database',
    exitCode: 3,
  },
  'hangs at start': {
    source: "require('node:fs').writeSync(2, 'it hangs\\n');\nfor (;;);\n",
    phases: ['start', 'ready'],
    stderr: 'it hangs',
    isTooLate: true,
  },
  'never listens': {
    source: "console.error('it does not listen');\nsetInterval(() => {}, 1_000);\n",
    phases: ['ready'],
    stderr: 'it does not listen',
    isTooLate: true,
  },
  'throws right after it is ready': {
    defect: "setImmediate(() => { throw new Error('too late'); });",
    phases: ['ready', 'canary'],
    stderr: 'too late',
    exitCode: 1,
  },
  'dies within minUptime': {
    defect: "setTimeout(() => { console.error('bye'); process.exit(4); }, 50);",
    phases: ['canary'],
    stderr: 'bye',
    exitCode: 4,
  },
  'eats all memory': {
    defect: 'const all = []; for (;;) all.push(new Array(1e5).fill(all.length));',
    phases: ['ready', 'canary'],
    stderr: 'heap out of memory',
    signal: 'SIGABRT',
  },
};

/** The source of broken code, which is `serving(defect)` if it serves at first. */
const brokenSource = ({ source, defect }, serving = (ready) => serves('broken', { ready })) =>
  source ?? serving(defect);

module.exports = {
  BROKEN,
  MIN_UPTIME,
  TELLS_WHEN_IT_LISTENS,
  brokenSource,
  serves,
  worksWithoutServers,
};
