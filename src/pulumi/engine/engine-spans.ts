import { z } from 'zod';
import type { ReportSpan, SpanOutcome } from '../../telemetry/span.ts';
import type { Progress, StackWork } from './messages.ts';

/** Reports one run of the engine as spans: the run, and each resource that it worked on. */
export interface RunSpans {
  onProgress(progress: Progress): void;
  end(outcome: SpanOutcome): void;
}

/** A run without an end, because its process was killed, reports nothing; the attempt shows the gap. */
export function followRun(report: ReportSpan, verb: StackWork['verb']): RunSpans {
  const startedAt = Date.now();
  const begun = new Map<string, number>();
  return {
    onProgress: (progress) => {
      if (progress.kind !== 'resource') return;
      const { operation, type, name, phase } = progress;
      const key = `${operation} ${type} ${name}`;
      if (phase === 'begins') {
        begun.set(key, Date.now());
        return;
      }
      const began = begun.get(key);
      begun.delete(key);
      if (began === undefined) return;
      report({
        kind: 'resource',
        name: `${operation} ${type.split(':').at(-1)} ${name}`,
        startedAt: began,
        endedAt: Date.now(),
        outcome: phase === 'done' ? 'success' : 'failure',
        attributes: { 'pulumi.resource.type': type, 'pulumi.resource.operation': operation },
      });
    },
    end: (outcome) =>
      report({ kind: 'run', name: `pulumi ${verb}`, startedAt, endedAt: Date.now(), outcome }),
  };
}

/** A line that ansible/callbacks/progress.py writes; times in seconds since 1970. */
const taskLine = z.strictObject({
  kind: z.enum(['task', 'play']),
  name: z.string().max(1_000),
  start: z.number().min(0).max(1e11),
  end: z.number().min(0).max(1e11),
  outcome: z.enum(['success', 'failure', 'skip']),
  changed: z.boolean().optional(),
});

/** Reports a line about Ansible as a span; a line that is none is left out. */
export function reportTask(report: ReportSpan, line: string): void {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return;
  }
  const parsed = taskLine.safeParse(value);
  if (!parsed.success) return;
  const { kind, name, start, end, outcome, changed } = parsed.data;
  report({
    kind,
    name,
    startedAt: start * 1000,
    endedAt: Math.max(start, end) * 1000,
    outcome,
    ...(changed !== undefined && { attributes: { 'ansible.task.changed': changed ? 1 : 0 } }),
  });
}
