/** What executes operations: a worker of this installation, or runs of a GitHub workflow. */
export const EXECUTORS = ['local', 'github-actions'] as const;
export type ExecutorName = (typeof EXECUTORS)[number];

const RUNS_ELSEWHERE: Record<ExecutorName, boolean> = { local: false, 'github-actions': true };

/** Whether runners elsewhere report to this service and have the clouds' keys. */
export function runsElsewhere(executor: string | undefined): boolean {
  return EXECUTORS.some((name) => name === executor && RUNS_ELSEWHERE[name]);
}
