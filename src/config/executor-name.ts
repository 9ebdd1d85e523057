/** What executes operations: a worker of this installation, or runs of a GitHub workflow. */
export const EXECUTORS = ['local', 'github-actions'] as const;
export type ExecutorName = (typeof EXECUTORS)[number];
