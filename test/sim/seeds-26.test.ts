import { testSeeds } from './run-seeds.ts';

testSeeds(26, 50);
