// The tests that start real servers and tools: `npm run test:deploy`.
export default {
  files: ['__test__/deploy/**/*.spec.js'],
  concurrency: 2,
  timeout: '5m',
  verbose: true,
};
