'use strict';

/** The releases of Node that a package is tried on: all that are supported. */
const NODES = ['18', '20', '22', '24', '26'];

module.exports = { NODES };
