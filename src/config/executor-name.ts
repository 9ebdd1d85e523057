/** Who carries operations out: a worker of this installation, or runs of a workflow at GitHub. */
export const EXECUTORS = ['local', 'github-actions'] as const;
export type ExecutorName = (typeof EXECUTORS)[number];
