import type { Role } from '../../database/vocabulary.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import type { StoredEvent } from '../../operations/events/events.ts';
import { LOG_LEVELS, type LogLevel } from '../../operations/events/log-levels.ts';
import { badge } from '../design/badge.ts';
import { emptyState } from '../design/banner.ts';
import { patterns } from '../design/strip.ts';
import { type Html, html } from '../html.ts';
import { agentCrumb } from '../parts.ts';
import { capitalized, stepWords } from '../words.ts';
import { cancelButton } from './cancel-page.ts';
import { type LogBox, logBox } from './log-box.ts';
import { fitLines, renderLines } from './log-lines.ts';
import { type Timeline, timelineSection } from './timeline.ts';

export interface OperationPage {
  timeline: Timeline;
  /** What is looked for; undefined: nothing, and the log is shown. */
  search: { text: string; level: LogLevel; found: readonly StoredEvent[]; isCut: boolean } | undefined;
  log: LogBox;
  /** The number of the log's last line. */
  last: number;
  /** Whose page it is. */
  role: Role;
}

/** Renders `/operations/{operationId}`: its timeline and its whole log, page by page. */
export function operationPage({ timeline, search, log, last, role }: OperationPage): Html {
  const { operation } = timeline;
  const { agentId, kind, status, operationId } = operation;
  return html`${patterns()}${agentCrumb(agentId)}<div id="operation" data-live data-operation="${operationId}">
<div class="title"><h1>${capitalized(kind)} ${badge(status)}</h1>${cancelButton(operation, role)}</div>
${problem(operation)}
${timelineSection(timeline)}
</div>
<div class="title"><h2>Log</h2><a class="button" href="/operations/${operationId}/log.txt" download>Download</a></div>
${searchForm(operationId, search)}
${search === undefined ? wholeLog(log, last) : foundLines(operationId, search)}`;
}

/**
 * Renders why the operation failed, or what it waits for. While a try is under way, the list of tries says
 * it.
 */
export function problem({ failedStep, error, status }: OperationJson): Html | undefined {
  if (error === null || status === 'active') return undefined;
  return html`<p class="problem">${failedStep !== null && html`<strong>${stepWords(failedStep)}:</strong> `}${error}</p>`;
}

const LEVEL_WORDS: Record<LogLevel, string> = {
  info: 'Everything',
  warning: 'Warnings and errors',
  error: 'Errors',
};

function searchForm(operationId: string, search: OperationPage['search']): Html {
  return html`<search><form class="filters" action="/operations/${operationId}">
<label class="search">Search the log <input id="search" type="search" name="q" value="${search?.text}" maxlength="200" autocomplete="off" aria-keyshortcuts="/"></label>
<label>Show <select name="level">${[...LOG_LEVELS]
    .reverse()
    .map(
      (level) =>
        html`<option value="${level}"${level === search?.level && html` selected`}>${LEVEL_WORDS[level]}</option>`,
    )}</select></label>
<button>Search</button>${search !== undefined && html`<a class="button" href="/operations/${operationId}">Whole log</a>`}
</form></search>`;
}

function wholeLog(log: LogBox, last: number): Html {
  const { box, first, last: shown } = logBox(log);
  const { operationId } = log;
  const link = (query: string, text: string) =>
    html`<a class="button" href="/operations/${operationId}${query}">${text}</a>`;
  const isCut = first !== undefined && shown !== undefined && (first > 1 || shown < last);
  return html`${box}
${
  isCut &&
  html`<nav class="actions" aria-label="Pages of the log"><span class="muted">Lines ${first} to ${shown} of ${last}</span>
${first > 1 && html`${link('?after=0', 'First')}${link(`?before=${first}`, 'Earlier')}`}
${shown < last && html`${link(`?after=${shown}`, 'Later')}${link('', 'Last')}`}</nav>`
}`;
}

function foundLines(operationId: string, search: NonNullable<OperationPage['search']>): Html {
  const { found, isCut } = search;
  if (found.length === 0)
    return emptyState(
      'No line matches',
      'The search looks for the text anywhere in a line, in any case.',
      html`<a class="button primary" href="/operations/${operationId}">Show the whole log</a>`,
    );
  const lines = fitLines(found, operationId, { keep: 'first' });
  const isMore = isCut || lines.length < found.length;
  return html`<p class="muted" role="status">${isMore ? `The first ${lines.length} lines that match` : `${lines.length === 1 ? '1 line matches' : `${lines.length} lines match`}`}. A number leads to its place.</p>
<div id="found" class="log" tabindex="0" role="region" aria-label="Lines that match">${renderLines(lines)}</div>`;
}
