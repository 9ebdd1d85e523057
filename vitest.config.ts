import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Processes and Postgres are real, on machines with two slow cores too. End-to-end tests set limits of
    // their own.
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // More than the cores: the tests with real machines mostly wait.
    maxWorkers: 5,
    sequence: { sequencer: LongestFirst },
    // One second, the default, is short beside other load.
    expect: { poll: { timeout: 15_000 } },
  },
});
