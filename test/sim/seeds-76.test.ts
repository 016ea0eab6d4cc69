import { testSeeds } from './run-seeds.ts';

testSeeds(76, 89);
