import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders and beginnings of names whose files take minutes, the longest first. */
const LONG = [
  'test/machines/image',
  'test/machines/failing',
  'test/e2e/github.test',
  'test/tools/faults/kill-matrix',
  'test/machines/',
  'test/tools/faults/scenarios',
  'test/e2e/rehearsal',
  'test/e2e/github',
  'test/tools/faults/suite',
  'test/e2e/',
  'test/cli/agents',
  'test/sandbox/providers/',
  'test/dashboard/accessible-pages',
  'test/http/webhooks-github-fuzz',
  'test/workflows/provision-agent',
  'test/runbooks/hibernate',
  'test/sandbox/host/postgres',
  'test/pulumi/engine/secrets-provider',
  'test/sandbox/machines/',
  'test/ansible/',
  'test/billing/',
];

/**
 * Starts the files that take minutes before all others, so that the run does not end with one of them while
 * the other workers idle. A fresh clone has no durations to sort by, and sizes say nothing: some of the
 * longest files only import another.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONG.findIndex((beginning) => moduleId.includes(`/${beginning}`));
  return index === -1 ? LONG.length : index;
}
