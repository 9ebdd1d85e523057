import { traceIdFor } from '../../log.ts';
import { PIPELINE_RESULTS, type SpanAttributes, type Trace, type TraceSpan } from '../../telemetry/span.ts';
import { spanIdFor } from '../../telemetry/trace-context.ts';
import { timeline } from '../events/events.ts';
import { stepLabel } from '../steps.ts';
import type { StoredSpan, TraceRows } from './read-trace.ts';

/** Steps in which nobody works on the operation: they belong to no attempt. */
const WAITING = new Set(['queued', 'waiting_to_retry']);

/** A part of the trace, before it is known to what it belongs. */
interface Part extends TraceSpan {
  attempt: number;
}

/**
 * Builds an operation's trace from what was recorded about it, so that it is whole whichever processes were
 * killed meanwhile: webhook → the operation → waiting, and attempts → steps → resources → tasks. The waiting
 * and the steps are the ledger's: they follow each other without a gap and add up to the operation.
 * @param agentUrl the operator's page of the agent
 */
export function toTrace(rows: TraceRows, agentUrl: string): Trace {
  const { operation } = rows;
  const base = { operationId: operation.operation_id, agentUrl };
  const webhooks = rows.spans.filter(({ kind }) => kind === 'webhook').map((one) => toDetail(base, one));
  const run = toRun(rows, base, webhooks[0]?.spanId);
  const attempts = toAttempts(rows, base, run);
  const steps = toSteps(rows, base, { run, attempts });
  const details = hang(rows, base, { run, attempts, steps });
  const spans = [...webhooks, run, ...attempts, ...steps, ...details];
  return {
    traceId: traceIdFor(operation.operation_id),
    spans: spans.map(({ attempt: _, ...span }) => span),
  };
}

interface Base {
  operationId: string;
  agentUrl: string;
}

function toRun(rows: TraceRows, { operationId, agentUrl }: Base, parentId: string | undefined): Part {
  const { operation, receivedAt, way, agent } = rows;
  const { kind, status, created_at: createdAt } = operation;
  return {
    spanId: spanIdFor(operationId, 'run'),
    parentId,
    name: `RUN ${kind}`,
    role: 'server',
    attempt: 0,
    startedAt: receivedAt !== null && receivedAt < createdAt ? receivedAt : createdAt,
    endedAt: operation.finished_at,
    isError: status === 'failed',
    attributes: {
      'cicd.pipeline.name': kind,
      'cicd.pipeline.action.name': 'RUN',
      'cicd.pipeline.run.id': operationId,
      'cicd.pipeline.run.url.full': agentUrl,
      'cicd.pipeline.result': PIPELINE_RESULTS[status] ?? status,
      ...(status === 'failed' && {
        'error.type':
          operation.failure_code ??
          (operation.failed_step === null ? '_OTHER' : stepLabel(operation.failed_step)),
      }),
      'agent_stacks.agent.id': operation.agent_id,
      'agent_stacks.project': agent.project,
      'agent_stacks.location': agent.location,
      'agent_stacks.plan': agent.plan,
      'agent_stacks.executor': operation.executor,
      'agent_stacks.attempts': operation.attempt,
      ...(kind === 'provision' && { 'agent_stacks.way': way }),
    },
  };
}

/** An attempt lasts from its beginning to the next status: its end, or that it was lost. */
function toAttempts({ operation, statuses }: TraceRows, base: Base, run: Part): Part[] {
  return statuses.flatMap(({ status, attempt, at }, index) => {
    if (status !== 'active') return [];
    const next = statuses[index + 1];
    const isLast = next === undefined || next.at >= operation.finished_at;
    const result = isLast ? (PIPELINE_RESULTS[operation.status] ?? operation.status) : 'failure';
    return {
      spanId: spanIdFor(base.operationId, `attempt/${attempt}`),
      parentId: run.spanId,
      name: `attempt ${attempt}`,
      role: 'internal' as const,
      attempt,
      startedAt: at,
      endedAt: isLast ? operation.finished_at : next.at,
      isError: result === 'failure',
      attributes: taskAttributes(base, { id: `attempt/${attempt}`, name: 'attempt', result }),
    };
  });
}

interface Above {
  run: Part;
  attempts: Part[];
}

function toSteps({ operation, steps }: TraceRows, base: Base, { run, attempts }: Above): Part[] {
  const parts: Part[] = [];
  const add = (name: string, parent: Part, [startedAt, endedAt]: [Date, Date], step = name) => {
    if (endedAt <= startedAt) return;
    const id = `step/${parts.length}`;
    parts.push({
      spanId: spanIdFor(base.operationId, id),
      parentId: parent.spanId,
      name,
      role: 'internal',
      attempt: parent.attempt,
      startedAt,
      endedAt,
      isError: false,
      attributes: {
        ...taskAttributes(base, { id, name, result: 'success' }),
        'agent_stacks.ledger.step': step,
      },
    });
  };
  add('received', run, [run.startedAt, operation.created_at]);
  for (const { step, startedAt, seconds } of timeline(operation, steps)) {
    const endedAt = new Date(startedAt.getTime() + (seconds ?? 0) * 1000);
    if (!WAITING.has(step)) add(step, covering(attempts, startedAt) ?? run, [startedAt, endedAt]);
    else {
      const begun = attempts.find((one) => one.startedAt >= startedAt && one.startedAt < endedAt);
      add(step, run, [startedAt, begun?.startedAt ?? endedAt]);
      // The ledger counts as waiting what an attempt needs until its first step.
      if (begun !== undefined) add('starting', begun, [begun.startedAt, endedAt], step);
    }
  }
  return parts;
}

/** The last part that has begun by then and has not ended. */
function covering<T extends Part>(parts: readonly T[], time: Date): T | undefined {
  return parts.findLast(({ startedAt, endedAt }) => startedAt <= time && time < endedAt);
}

/** The part with which this one shares most time: a step is recorded a moment after what begins it. */
function overlapping(parts: readonly Part[], { startedAt, endedAt }: Part): Part | undefined {
  const shared = (one: Part) =>
    Math.min(one.endedAt.getTime(), endedAt.getTime()) -
    Math.max(one.startedAt.getTime(), startedAt.getTime());
  const [most] = parts.toSorted((a, b) => shared(b) - shared(a));
  return most !== undefined && shared(most) > 0 ? most : covering(parts, startedAt);
}

/** Hangs what was recorded below steps, and what Ansible did below the resource that ran it. */
function hang(rows: TraceRows, base: Base, { run, attempts, steps }: Above & { steps: Part[] }): Part[] {
  const all = rows.spans.filter(({ kind }) => kind !== 'webhook');
  const of = (attempt: number, parts: Part[]) => parts.filter((one) => one.attempt === attempt);
  const parts = all.map((span) => ({ span, part: toDetail(base, span) }));
  const partsOf = (wanted: StoredSpan['kind']) =>
    parts.flatMap(({ span, part }) => (span.kind === wanted ? part : []));
  const [playbooks, resources] = [partsOf('play'), partsOf('resource')];
  return parts.map(({ span: { kind, attempt, startedAt }, part }) => {
    const own = attempts.find((one) => one.attempt === attempt) ?? run;
    const find = (among: Part[]) => covering(of(attempt, among), startedAt);
    const step = () => overlapping(of(attempt, steps), part);
    const parents: Record<StoredSpan['kind'], () => Part | undefined> = {
      webhook: () => run,
      // A run of Pulumi spans several steps, and a callback is the runner's way to say one.
      callback: () => own,
      run: () => own,
      resource: step,
      play: () => find(resources) ?? step(),
      task: () => find(playbooks) ?? find(resources) ?? step(),
    };
    return Object.assign(part, { parentId: (parents[kind]() ?? own).spanId });
  });
}

function toDetail(base: Base, span: StoredSpan): Part {
  const { id, kind, name, attempt, startedAt, endedAt, outcome, attributes } = span;
  const isHttp = kind === 'webhook' || kind === 'callback';
  const what = `span/${id}`;
  return {
    spanId: spanIdFor(base.operationId, what),
    parentId: undefined,
    name,
    role: isHttp ? 'server' : 'internal',
    attempt,
    startedAt,
    endedAt,
    isError: outcome === 'failure',
    attributes: {
      ...(isHttp ? {} : taskAttributes(base, { id: what, name, result: outcome })),
      ...(isHttp ? {} : { 'agent_stacks.task.kind': kind }),
      ...attributes,
    },
  };
}

function taskAttributes(
  { operationId, agentUrl }: Base,
  { id, name, result }: { id: string; name: string; result: string },
): SpanAttributes {
  return {
    'cicd.pipeline.task.name': name,
    'cicd.pipeline.task.run.id': `${operationId}/${id}`,
    'cicd.pipeline.task.run.url.full': agentUrl,
    'cicd.pipeline.task.run.result': result,
    ...(result === 'failure' && { 'error.type': '_OTHER' }),
  };
}
