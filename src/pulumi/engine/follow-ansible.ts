import { rm } from 'node:fs/promises';
import type { ReportSpan } from '../../telemetry/span.ts';
import { reportTask } from './engine-spans.ts';
import { followProgress } from './follow-log.ts';

/**
 * Follows the files into which Ansible's callback writes: a line a task, and, for traces, its times.
 * `environment` names them; `stop` passes on what was written by then, and removes them.
 */
export function followAnsible(
  log: string,
  attempt: { log(line: string): void; span?: ReportSpan | undefined },
): { environment: Record<string, string>; stop(): Promise<void> } {
  const files: Record<string, string> = { AGENT_PROGRESS_FILE: `${log}.progress` };
  const stops = [followProgress(`${log}.progress`, attempt.log)];
  const { span } = attempt;
  if (span !== undefined) {
    files.AGENT_SPANS_FILE = `${log}.spans`;
    stops.push(followProgress(`${log}.spans`, (line) => reportTask(span, line)));
  }
  return {
    environment: files,
    stop: async () => {
      await Promise.all(stops.map((stop) => stop()));
      const removals = Object.values(files).map((file) => rm(file, { force: true }).catch(() => {}));
      await Promise.all(removals);
    },
  };
}
