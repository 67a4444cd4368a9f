// The tests of a release build: `npm run release:dry`.
export default {
  files: ['packaging/**/*.spec.js'],
  concurrency: 1,
  timeout: '5m',
  verbose: true,
};
