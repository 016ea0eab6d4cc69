import { testSeeds } from './run-seeds.ts';

testSeeds(176, 200);
