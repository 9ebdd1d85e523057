import { expect, it } from 'vitest';
import { followRun, reportTask } from '../../../src/pulumi/engine/engine-spans.ts';
import type { ReportedSpan } from '../../../src/telemetry/span.ts';

it('reports a run and each resource that it worked on', () => {
  const spans: ReportedSpan[] = [];
  const run = followRun((span) => spans.push(span), 'up');
  const resource = { kind: 'resource' as const, operation: 'create', name: 'server' };
  const server = { ...resource, type: 'hcloud:index/server:Server' };
  const key = { ...resource, type: 'tailscale:index/tailnetKey:TailnetKey', name: 'key' };
  run.onProgress({ ...server, phase: 'begins' });
  run.onProgress({ ...key, phase: 'begins' });
  run.onProgress({ ...key, phase: 'failed' });
  run.onProgress({ ...server, phase: 'done' });
  run.onProgress({ kind: 'diagnostic', severity: 'error', message: 'token=secret' });
  run.end('failure');
  expect(spans.map(({ kind, name, outcome }) => [kind, name, outcome])).toEqual([
    ['resource', 'create TailnetKey key', 'failure'],
    ['resource', 'create Server server', 'success'],
    ['run', 'pulumi up', 'failure'],
  ]);
  expect(JSON.stringify(spans)).not.toContain('secret');
});

it('takes a task’s line as it is written, and nothing else', () => {
  const spans: ReportedSpan[] = [];
  const take = (line: unknown) =>
    reportTask((span) => spans.push(span), typeof line === 'string' ? line : JSON.stringify(line));
  const task = { kind: 'task', name: 'base : Wait', start: 10.5, end: 12, outcome: 'success', changed: true };
  take(task);
  for (const wrong of [
    '',
    '{',
    '[]',
    { ...task, kind: 'webhook' },
    { ...task, more: 1 },
    { ...task, end: 'x' },
  ])
    take(wrong);
  take({ ...task, start: 5, end: 4, changed: undefined });
  expect(spans).toEqual([
    {
      kind: 'task',
      name: 'base : Wait',
      startedAt: 10_500,
      endedAt: 12_000,
      outcome: 'success',
      attributes: { 'ansible.task.changed': 1 },
    },
    { kind: 'task', name: 'base : Wait', startedAt: 5_000, endedAt: 5_000, outcome: 'success' },
  ]);
});
