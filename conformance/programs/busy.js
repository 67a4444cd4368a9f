'use strict';

// Keeps a core busy until its stdin closes.

const TURN_MS = 50;

function spin() {
  const end = performance.now() + TURN_MS;
  while (performance.now() < end);
  setImmediate(spin);
}

process.stdin.resume().once('end', () => process.exit());
spin();
