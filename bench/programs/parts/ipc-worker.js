'use strict';

// The same worker for every opponent. The argument says how it answers: 'echo' sends each message back,
// 'count' sends how many have come.

const [, , answers] = process.argv;
let received = 0;
let last;

function answer(message) {
  received += 1;
  last = message;
  process.send(answers === 'echo' ? message : received);
}

// Requests of the primary between its measurements.
const REPORTS = {
  cpu: () => process.cpuUsage(),
  received: () => ({ received, last }),
};

process.on('message', (message) => {
  if (message.report === undefined) answer(message);
  else process.send(REPORTS[message.report]());
});

process.send('ready');
