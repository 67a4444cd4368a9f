'use strict';

// npx jest --config examples/jest/jest.config.js
module.exports = { testEnvironment: 'node' };
