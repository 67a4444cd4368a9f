'use strict';

const { EXIT, usageError } = require('../errors.js');
const { listed } = require('../values.js');

const SHELLS = ['bash', 'zsh', 'fish'];

module.exports = {
  name: 'completion',
  summary: 'print what makes a shell complete command lines',
  usage: 'bash|zsh|fish',
  positionals: [1, 1],
  words: SHELLS,
  examples: [
    "bash  echo 'source <(rs-cluster completion bash)' >> ~/.bashrc",
    "zsh   echo 'source <(rs-cluster completion zsh)' >> ~/.zshrc",
    'fish  rs-cluster completion fish > ~/.config/fish/completions/rs-cluster.fish',
  ],
  run(_values, [shell]) {
    if (!SHELLS.includes(shell)) {
      throw usageError(`completion is for ${listed(SHELLS)}, not '${shell}'`);
    }
    process.stdout.write(require('../completion.js')[shell]());
    return EXIT.done;
  },
};
