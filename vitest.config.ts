import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** One of each pair imports the other, which a process that has run it already would not run again. */
const ALONE = ['test/e2e/{github-,}{environment,lifecycle,main-path,secrets}.test.ts'];

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // Processes and Postgres are real, on machines with two slow cores too. End-to-end tests set limits of
    // their own.
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // More than the cores: the tests with real machines mostly wait.
    maxWorkers: 6,
    sequence: { sequencer: LongestFirst },
    // One second, the default, is short beside other load.
    expect: { poll: { timeout: 15_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          // Most of a short file's time was the import of the service's modules: files take turns in a
          // process.
          isolate: false,
        },
      },
      { extends: true, test: { name: 'alone', include: ALONE } },
    ],
  },
});
