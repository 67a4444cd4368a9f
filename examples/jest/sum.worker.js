'use strict';

// Adds up what it is sent.
process.on('message', (numbers) => {
  if (!Array.isArray(numbers)) process.exit(3);
  process.send({ sum: numbers.reduce((sum, number) => sum + number, 0) });
});
