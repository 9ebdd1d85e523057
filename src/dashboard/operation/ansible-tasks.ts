/** A finished task of the playbook, as a line of the log tells it (ansible/callbacks/progress.py). */
export interface AnsibleTask {
  /** The role; undefined for a task of the playbook itself. */
  role: string | undefined;
  seconds: number;
  hasFailed: boolean;
}

const TASK =
  /^(?:([\w-]{1,60}) : )?(?!.*: done$).{1,300}: (ok|changed|failed|failed, ignored|the server cannot be reached|not yet, try \d+) \((\d+\.\d) s\)$/;

/** Returns undefined for any other line. */
export function readTask(line: string): AnsibleTask | undefined {
  const [, role, result, seconds] = TASK.exec(line) ?? [];
  if (result === undefined) return undefined;
  // A task that waits says so again and again, with its time so far.
  const counts = !result.startsWith('not yet');
  const hasFailed = result === 'failed' || result.startsWith('the server');
  return { role, seconds: counts ? Number(seconds) : 0, hasFailed };
}
