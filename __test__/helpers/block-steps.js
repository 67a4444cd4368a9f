'use strict';

// The steps of `<!-- run: step; step; … -->` and `<!-- service: step; step; … -->`, which happen in order while the
// block runs:
//
//   service         before the block starts, the service above (the last block marked `<!-- service: … -->`) is
//                   started in the same directory, and goes through its own steps. After the block it gets SIGTERM,
//                   unless it has ended, and has to end with code 0
//   asks=3          sends this many GET requests for `/`, each on its own connection; all are answered with
//                   200. The first one is repeated until a server listens
//   answers=/…/     each of these answers matches the pattern
//   prints=/…/      the output after the match of the previous `prints` step matches, now or later
//   logs=/…/        the same for the output of the service
//   loads           starts clients that send requests one after the other; all are answered with 200
//   rests           stops these clients
//   signal=SIGHUP   sends the signal to the process that the block starts, or to its only process; SIGINT
//                   goes to the whole group, as from a terminal
//   exits=1         the code with which the block ends, instead of 0
//   warns           allows process warnings
//   like            the output that the document shows below the block differs in numbers, their units and spaces
//   partly          the block prints more than the output that the document shows

const SETUP = ['service', 'exits', 'warns', 'like', 'partly'];

const STEPS = {
  async asks(run, value) {
    run.answers = [await run.askFirst()];
    while (run.answers.length < Number(value)) run.answers.push(await run.ask());
  },
  answers(run, value) {
    const wrong = run.answers.find((answer) => !toPattern(value).test(answer));
    if (wrong !== undefined) throw new Error(`an answer does not match ${value}: ${wrong}`);
  },
  prints: (run, value) => run.untilPrinted(toPattern(value)),
  logs: (run, value) => run.service.untilPrinted(toPattern(value)),
  loads: (run) => run.startLoad(),
  rests: (run) => run.endLoad(),
  signal: (run, value) => run.signal(value),
};

/** @returns what happens while the block runs, and what is known before: `{ actions, setup }` */
function parseSteps({ what, place }) {
  const steps = what.split(';').map((step) => step.trim());
  const parsed = steps.filter(Boolean).map((step) => {
    const [, name, value = ''] = /^(\w+)(?:=(.*))?$/.exec(step) ?? [];
    if (!(name in STEPS || SETUP.includes(name))) {
      throw new Error(`${place}: there is no step ${step}`);
    }
    return { name, value };
  });
  const setup = Object.fromEntries(
    parsed.filter(({ name }) => SETUP.includes(name)).map(({ name, value }) => [name, value]),
  );
  return { setup, actions: parsed.filter(({ name }) => name in STEPS) };
}

function toPattern(value) {
  const [, source, flags] = /^\/(.*)\/(\w*)$/.exec(value);
  return new RegExp(source, flags);
}

async function perform(run, actions) {
  for (const { name, value } of actions) await STEPS[name](run, value);
}

module.exports = { parseSteps, perform };
