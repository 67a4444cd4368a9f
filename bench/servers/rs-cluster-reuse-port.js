'use strict';

const cluster = require('../..');
const { serve } = require('./parts/cluster-primary.js');

serve(cluster, cluster.SCHED_REUSEPORT);
