// npx ava --config examples/ava/ava.config.mjs
export default { files: ['examples/ava/*.test.mjs'] };
