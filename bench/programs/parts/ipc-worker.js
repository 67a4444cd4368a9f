'use strict';

// The same worker for every opponent. The argument is how it answers: 'echo' gives each message
// back, 'count' says how many have come.

const [, , answers] = process.argv;
let received = 0;
let last;

function answer(message) {
  received += 1;
  last = message;
  process.send(answers === 'echo' ? message : received);
}

// What the primary asks between its measurements.
const REPORTS = {
  cpu: () => process.cpuUsage(),
  received: () => ({ received, last }),
};

process.on('message', (message) => {
  if (message.report === undefined) answer(message);
  else process.send(REPORTS[message.report]());
});

process.send('ready');
