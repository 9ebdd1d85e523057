import type { Asker } from '../../audit/listing.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import type { Course, Segment } from '../../operations/events/course.ts';
import { type Scale, type StripPart, strip, stripAxis } from '../design/strip.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { duration, span, stepWords } from '../words.ts';

export interface Timeline {
  operation: OperationJson;
  course: Course;
  asker: Asker | undefined;
}

/** The last step of a provision, which only says that it is over. */
const ARRIVED = 'running';
/** Rendered as a table; the picture shows all. */
const ROWS_SHOWN = 60;

/**
 * Renders an operation to scale: a row a step with its bars, waits as thin lines, tries that failed hatched.
 * The same as a table, and below it why tries failed.
 */
export function timelineSection({ operation, course, asker }: Timeline, now = new Date()): Html {
  const { operationId } = operation;
  const end = operation.finishedAt === null ? now : new Date(operation.finishedAt);
  const scale = { from: course.segments[0]?.start ?? new Date(operation.createdAt), to: end };
  const total = (scale.to.getTime() - scale.from.getTime()) / 1000;
  const isOpen = operation.finishedAt === null;
  return html`<p class="muted">${isOpen ? `${span(total)} so far` : `${span(total)} in total`}, ${triesWords(operation)}${askedBy(asker)}</p>
<div class="strips gantt">${rowsOf(course.segments).map((row) => ganttRow(row, scale, end))}
<span class="name"></span>${stripAxis(['0 s', span(total / 2), isOpen ? 'now' : span(total)])}</div>
${course.omitted > 0 && html`<p class="muted">${course.omitted} earlier events are left out; the log has them.</p>`}
${failureList(course)}
<details id="steps-${operationId}"><summary>The same as a table</summary>${stepTable(course.segments, end)}</details>`;
}

function triesWords({ attempt, retryCount }: OperationJson): string {
  if (attempt === 0) return 'not begun';
  const tries = attempt === 1 ? '1 try' : `${attempt} tries`;
  return retryCount > 0 ? `${tries}, ${retryCount} failed` : tries;
}

/** Who asked for it, in words. */
export function askedBy(asker: Asker | undefined): string {
  if (asker === undefined) return '';
  const { actor, cause } = asker;
  if (actor === 'stripe') return ', asked for by a payment';
  return `, asked for by ${actor === 'service' ? 'the service' : actor}${cause === null ? '' : `: ${cause}`}`;
}

/** The segments of each step, in the order of their first start; all waits share one row. */
function rowsOf(segments: readonly Segment[]): Segment[][] {
  const rows = new Map<string, Segment[]>();
  for (const segment of segments.filter(({ step }) => step !== ARRIVED)) {
    const key = segment.isWait ? 'wait' : segment.step;
    rows.set(key, [...(rows.get(key) ?? []), segment]);
  }
  return [...rows.values()];
}

function ganttRow(row: readonly Segment[], scale: Scale, end: Date): Html {
  const isUnderWay = row.some((segment) => segment.end === null);
  const seconds = row.reduce((sum, segment) => sum + lengthOf(segment, end), 0);
  return html`<span class="name">${rowName(row)}</span>${strip(
    row.map((segment) => toPart(segment, end)),
    scale,
  )}<span class="number${isUnderWay && ' current'}">${duration(seconds)}${isUnderWay && html`<span class="visually-hidden"> so far</span>…`}</span>`;
}

/** Waits of all kinds share a row. */
function rowName(row: readonly Segment[]): string {
  const steps = new Set(row.map(({ step }) => step));
  return steps.size === 1 ? stepWords(row[0]!.step) : 'Waiting';
}

function toPart(segment: Segment, end: Date): StripPart {
  const { start, attempt, isWait, hasFailed } = segment;
  const tone = isWait ? 'wait' : hasFailed ? 'bad' : segment.end === null ? 'busy' : 'good';
  const mark = isWait || attempt < 2 ? undefined : String(attempt);
  return { start, end: segment.end ?? end, tone, mark };
}

const lengthOf = (segment: Segment, end: Date) =>
  Math.max(0, ((segment.end ?? end).getTime() - segment.start.getTime()) / 1000);

function failureList({ failures }: Course): Html | undefined {
  if (failures.length === 0) return undefined;
  return html`<ol class="tries">${failures.map(
    ({ attempt, at, step, error, retryAt }) =>
      html`<li><strong>Try ${attempt}${
        step !== null && `: ${stepWords(step).toLowerCase()}`
      }</strong> <span class="muted">${when(at.toISOString())}${
        retryAt !== null && html`, next try was due ${when(retryAt.toISOString())}`
      }</span><br>${firstLines(error)}</li>`,
  )}</ol>`;
}

const LONGEST_SHOWN = 1_000;
const firstLines = (text: string) =>
  text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;

function stepTable(segments: readonly Segment[], end: Date): Html {
  const shown = segments.slice(-ROWS_SHOWN);
  const began = segments[0]?.start.getTime() ?? 0;
  return html`<table class="keep"><caption class="visually-hidden">Steps in order</caption>
<thead><tr><th scope="col">Step</th><th scope="col">Try</th><th scope="col">Began after</th><th scope="col">Took</th></tr></thead>
<tbody>${shown.map(
    (
      segment,
    ) => html`<tr><th scope="row">${stepWords(segment.step)}</th><td>${segment.attempt === 0 ? '–' : segment.attempt}</td>
<td class="number">${span((segment.start.getTime() - began) / 1000)}</td><td class="number">${duration(lengthOf(segment, end))}${
      segment.end === null ? ' so far' : segment.hasFailed && ', failed'
    }</td></tr>`,
  )}</tbody></table>
${segments.length > shown.length && html`<p class="muted">The last ${shown.length} of ${segments.length}.</p>`}`;
}
