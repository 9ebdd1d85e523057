// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Keeps the operator's pages up to date. The server renders everything. After an event this script fetches
// the page again and swaps the parts marked data-live. The log is appended to by log.js, line by line.

const REFRESH_EVERY_MS = 10_000;
const GATHER_MS = 250;
/** A page takes this share of the time at most: a slower service is asked less often. */
const SHARE = 1 / 2;

const connection = document.getElementById('connection');
const announcement = document.getElementById('announcement');

let pending;
/** Coalesces a burst of events into one refresh. */
function refreshSoon() {
  isDue = true;
  if (pending !== undefined) return;
  pending = setTimeout(refresh, Math.max(GATHER_MS, nextAt - performance.now()));
}
/** A search of a log reads all of it, and what changes here is only the timeline. */
function freshAddress() {
  return location.pathname.startsWith('/operations/') ? location.pathname : location.href;
}
let nextAt = 0;
/** Something has happened since the last refresh began. */
let isDue = false;

/** Of the refreshes that are under way only the last one counts: answers may come in another order. */
let lastRefresh = 0;
async function refresh() {
  lastRefresh += 1;
  const began = performance.now();
  isDue = false;
  const own = lastRefresh;
  try {
    const response = await fetch(freshAddress(), { headers: { accept: 'text/html' }, redirect: 'manual' });
    // The session has expired or the agent is gone: reload so that the browser shows the server's answer.
    if (response.type === 'opaqueredirect' || response.status === 404) location.reload();
    const text = await response.text();
    if (response.ok && own === lastRefresh) swap(new DOMParser().parseFromString(text, 'text/html'));
  } catch {
    // The service is unreachable. The event stream reconnects on its own and refreshes then.
  } finally {
    nextAt = began + (performance.now() - began) / SHARE;
    pending = undefined;
    if (isDue) refreshSoon();
  }
}

function swap(fresh) {
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll('[data-live]')) {
    const replacement = fresh.getElementById(part.id);
    if (replacement === null) continue;
    keepState(part, replacement);
    if (replacement.outerHTML !== shownMarkup(part)) part.replaceWith(document.adoptNode(replacement));
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  // What was searched for or paged to stays; its own page follows the log.
  if (freshAddress() !== location.href) return;
  const log = document.getElementById('log');
  const freshLog = fresh.getElementById('log');
  if (freshLog === null || log?.dataset.operation === freshLog.dataset.operation) return;
  // A new operation has begun: show its log instead of the previous one's.
  if (log === null) location.reload();
  else {
    log.replaceWith(document.adoptNode(freshLog));
    document.dispatchEvent(new Event('newlog'));
  }
}

/** What the reader has opened stays open, and what they have ticked stays ticked. */
function keepState(part, replacement) {
  for (const { id } of part.querySelectorAll('input:checked'))
    replacement.querySelector(`#${CSS.escape(id)}`)?.setAttribute('checked', '');
  for (const { id } of part.querySelectorAll('details[open]'))
    replacement.querySelector(`#${CSS.escape(id)}`)?.setAttribute('open', '');
}

/** The markup with the ticks, which are no part of it until they are written into it. */
function shownMarkup(part) {
  for (const box of part.querySelectorAll('input[type="checkbox"]'))
    box.toggleAttribute('checked', box.checked);
  return part.outerHTML;
}

const filters = document.getElementById('filters');
const TYPING_MS = 150;
let typing;
/** The list follows what is typed and chosen, and the address with it. */
function filterSoon() {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const given = [...new FormData(filters)].filter(([, value]) => value !== '');
    history.replaceState(null, '', `/agents${given.length > 0 ? `?${new URLSearchParams(given)}` : ''}`);
    refresh();
  }, TYPING_MS);
}
filters?.addEventListener('input', filterSoon);

const ticked = document.getElementById('ticked');
function ticksIn(list) {
  return [...list.querySelectorAll('input[name="agentId"]')];
}
document.addEventListener('change', ({ target }) => {
  if (target.id === 'pick-all') for (const box of ticksIn(document)) box.checked = target.checked;
  if (ticked !== null) ticked.textContent = `${ticksIn(document).filter((box) => box.checked).length} ticked`;
});

document.addEventListener('news', ({ detail: { type, data } }) => {
  if (type === 'away') connection.textContent = 'Disconnected, reconnecting…';
  else {
    // After `open` too: what happened while nobody listened is on the fresh page.
    connection.textContent = 'Live';
    refreshSoon();
  }
  if (type === 'status') announcement.textContent = `${data.agentId}: ${data.kind} ${data.status}`;
});
// Ages and durations change even without events.
setInterval(() => {
  if (document.visibilityState === 'visible') refreshSoon();
}, REFRESH_EVERY_MS);
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') refreshSoon();
});
