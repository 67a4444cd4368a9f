'use strict';

const { UserError } = require('./user-error.js');

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Runs a tool: `main(arguments)` resolves to its exit code. The listeners of the process's 'exit' event run in any
 * case, even if a signal ends the tool.
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
      // exitCode would not do, because started processes may still be running, although they have nothing
      // left to do.
      process.exit(1);
    },
  );
}

module.exports = { runCommand };
