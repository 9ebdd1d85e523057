import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/** Files that leave in their process what others would find. */
const ALONE = [
  // Defines a kind of operation, from which routes and commands follow when they are loaded.
  'test/operations/derived.test.ts',
  // Pulumi's SDK keeps what it is connected to for the whole process.
  'test/pulumi/engine/secrets-provider.test.ts',
  'test/sandbox/providers/end-to-end.test.ts',
  'test/stacks/agent.test.ts',
];

export default defineConfig({
  test: {
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
