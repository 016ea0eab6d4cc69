import { testSeeds } from './run-seeds.ts';

testSeeds(126, 150);
