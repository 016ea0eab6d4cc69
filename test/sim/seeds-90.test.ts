import { testSeeds } from './run-seeds.ts';

testSeeds(90, 100);
