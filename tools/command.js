'use strict';

const { UserError } = require('./user-error.js');

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Runs a tool: `main(arguments)` resolves to its exit code. However it ends, by a signal too, the
 * listeners of the process's 'exit' event have their say.
 */
function runCommand(main) {
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => process.exit(code));
  }
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error) => {
      process.stderr.write(`${error instanceof UserError ? error.message : error.stack}\n`);
      // Not exitCode: what was started may still be running, and has nothing left to do.
      process.exit(1);
    },
  );
}

module.exports = { runCommand };
