import type { BrowserResult } from './browser.ts';
import type { LiveResult } from './live.ts';
import type { PagesResult } from './pages.ts';
import { median, quantile } from './statistics.ts';
import { table } from './table.ts';

const kilobytes = (bytes: number) => (bytes / 1000).toFixed(0);

/** Formats what pages cost the service, what a browser makes of them, and how soon they show a change. */
export function pagesText(result: PagesResult): string {
  return [servedText(result), browserText(result.browser), liveText(result)].join('\n\n');
}

function servedText({ filled, visits, pages }: PagesResult): string {
  const { agents, operations, events } = filled;
  const rows = pages.map(({ name, medianMs, slowMs, freshMs, bytes, fullScans }) => [
    name,
    medianMs.toFixed(0),
    slowMs.toFixed(0),
    freshMs.toFixed(0),
    kilobytes(bytes),
    Object.keys(fullScans).join(', ') || 'none',
  ]);
  return [
    `Pages, with ${agents} agents, ${operations} operations, ${events} events; ${visits} visits each`,
    table(['page', 'median ms', '95 % ms', 'fresh ms', 'kB', 'large tables read as a whole'], rows),
  ].join('\n');
}

function browserText(browser: BrowserResult | undefined): string {
  if (browser === undefined) return 'In a browser: left out, because there is no Chromium';
  const rows = browser.pages.map((page) => [
    page.name,
    kilobytes(page.htmlBytes),
    kilobytes(page.transferredBytes),
    page.requests.toFixed(0),
    page.contentLoadedMs.toFixed(0),
    page.firstPaintMs.toFixed(0),
    page.layoutShift.toFixed(3),
  ]);
  const header = ['page', 'HTML kB', 'all kB', 'requests', 'DOM ready ms', 'first paint ms', 'layout shift'];
  return [
    `In Chromium with an empty cache, medians of ${browser.visits} visits; the largest layout shift`,
    table(header, rows),
  ].join('\n');
}

function liveText({ live, browser }: { live: LiveResult; browser: BrowserResult | undefined }): string {
  const tabs =
    browser === undefined
      ? []
      : [`  ${browser.tabs.count} tabs of one Chromium: ${spreadText(browser.tabs.seenMs)}`];
  return [
    `A change until open pages show it, in milliseconds (live pages gather events for 250 of them)`,
    `  ${live.pages} pages, ${live.changes} changes: ${spreadText(live.seenMs)}; ` +
      `${live.transactionsPerChange.toFixed(0)} transactions a change`,
    ...tabs,
  ].join('\n');
}

const spreadText = (values: readonly number[]) =>
  `median ${median(values).toFixed(0)}, p95 ${quantile(values, 0.95).toFixed(0)}, max ${Math.max(...values).toFixed(0)}`;
