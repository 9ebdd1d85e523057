import type { StoredEvent } from '../../operations/events/events.ts';
import { levelOf } from '../../operations/events/log-levels.ts';
import { type Html, html } from '../html.ts';
import { capitalized, duration, stepWords } from '../words.ts';
import { type AnsibleTask, readTask } from './ansible-tasks.ts';

/** Bytes of markup on a page of a log, so that the page stays below 200 kB. */
const MOST_BYTES = 130_000;

/** Renders one event as a line, which its number links to. `here`: the line that was asked for. */
export function logLine(event: StoredEvent, operationId: string, here?: number): Html {
  const { sequence, type, data, at } = event;
  const time = at.toISOString().slice(11, 19);
  const line = type === 'log' ? String(data.line) : '';
  const level = type === 'log' ? levelOf(line) : type;
  return html`<div class="entry ${level}${sequence === here && ' here'}" id="L${sequence}"><a class="no" href="/operations/${operationId}?line=${sequence}#L${sequence}">${sequence}</a><span class="at">${time}</span><span class="text">${
    type === 'log' ? line : describeEvent(event)
  }</span></div>
`;
}

/** A change of the step or the status, in words. */
function describeEvent({ type, data, attempt }: StoredEvent): string {
  if (type === 'step') return `${stepWords(String(data.step))}${attempt > 1 ? ` (try ${attempt})` : ''}`;
  const error = typeof data.error === 'string' ? `: ${data.error}` : '';
  return `${capitalized(String(data.status))}${error}`;
}

/** The status that comes with it says the same. */
const isShown = ({ type, data }: StoredEvent) => type !== 'step' || data.step !== 'finished';

interface Line {
  event: StoredEvent;
  markup: Html;
  bytes: number;
}

/** What fits on a page. `keep`: which end of it must stay. */
export function fitLines(
  events: readonly StoredEvent[],
  operationId: string,
  { keep, here }: { keep: 'first' | 'last'; here?: number | undefined },
): Line[] {
  const lines = events.filter(isShown).map((event) => {
    const markup = logLine(event, operationId, here);
    return { event, markup, bytes: Buffer.byteLength(markup.toString()) };
  });
  const ordered = keep === 'first' ? lines : lines.reverse();
  let bytes = 0;
  const fitting = ordered.filter((line) => {
    bytes += line.bytes;
    return bytes <= MOST_BYTES;
  });
  return keep === 'first' ? fitting : fitting.reverse();
}

/** Renders lines; what Ansible says of one role's tasks is a section that can be folded. */
export function renderLines(lines: readonly Line[]): Html[] {
  const rendered: Html[] = [];
  let section: { role: string; tasks: AnsibleTask[]; markup: Html[]; first: number } | undefined;
  const endSection = () => {
    if (section !== undefined) rendered.push(foldable(section));
    section = undefined;
  };
  for (const { event, markup } of lines) {
    const task = event.type === 'log' ? readTask(String(event.data.line)) : undefined;
    const role = task?.role ?? 'playbook';
    if (task === undefined || section?.role !== role) endSection();
    if (task === undefined) rendered.push(markup);
    else {
      section ??= { role, tasks: [], markup: [], first: event.sequence };
      section.tasks.push(task);
      section.markup.push(markup);
    }
  }
  endSection();
  return rendered;
}

function foldable(section: { role: string; tasks: AnsibleTask[]; markup: Html[]; first: number }): Html {
  const { role, tasks, markup, first } = section;
  const seconds = tasks.reduce((sum, task) => sum + task.seconds, 0);
  const failed = tasks.filter(({ hasFailed }) => hasFailed).length;
  const count = tasks.length === 1 ? '1 task' : `${tasks.length} tasks`;
  return html`<details class="tasks" id="tasks-${first}" open><summary>Ansible, ${role}: ${count}, ${duration(seconds)}${
    failed > 0 && html`, <strong>${failed} failed</strong>`
  }</summary>${markup}</details>
`;
}
