// @ts-nocheck: it runs in the browser, whose types this project's other files must not see.

// Keeps the operator's pages up to date. Everything is rendered by the server: this fetches the page again when something
// has happened and swaps the parts marked data-live; the log alone is appended to line by line.

const REFRESH_EVERY_MS = 10_000;
const GATHER_MS = 250;

const connection = document.getElementById('connection');
const announcement = document.getElementById('announcement');

let pending;
/** Several events in a row make one refresh. */
function refreshSoon() {
  if (pending === undefined) pending = setTimeout(refresh, GATHER_MS);
}

async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' }, redirect: 'manual' });
    // Signed out meanwhile, or the agent is gone: let the browser show what the server says.
    if (response.type === 'opaqueredirect' || response.status === 404) location.reload();
    if (response.ok) swap(new DOMParser().parseFromString(await response.text(), 'text/html'));
  } catch {
    // The service is away; the event stream comes back by itself and refreshes then.
  } finally {
    pending = undefined;
  }
}

function swap(fresh) {
  const focused = document.activeElement?.id;
  for (const part of document.querySelectorAll('[data-live]')) {
    const replacement = fresh.getElementById(part.id);
    if (replacement === null || replacement.outerHTML === part.outerHTML) continue;
    part.replaceWith(document.adoptNode(replacement));
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const log = document.getElementById('log');
  const freshLog = fresh.getElementById('log');
  if (freshLog === null || log?.dataset.operation === freshLog.dataset.operation) return;
  // Another operation has begun: its log takes the place of the one before.
  if (log === null) location.reload();
  else {
    log.replaceWith(document.adoptNode(freshLog));
    followLog();
  }
}

let logSource;
function followLog() {
  logSource?.close();
  const log = document.getElementById('log');
  if (log === null) return;
  log.scrollTop = log.scrollHeight;
  const { operation, last } = log.dataset;
  const source = new EventSource(`/api/operations/${operation}/events?lastEventId=${last}`);
  logSource = source;
  source.addEventListener('log', (event) => {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.append(`${JSON.parse(event.data).line}\n`);
    if (atEnd) log.scrollTop = log.scrollHeight;
  });
  // The operation has finished: without this the browser would come again and again.
  source.addEventListener('end', () => source.close());
}

const feed = new EventSource('/api/events');
feed.addEventListener('open', () => {
  connection.textContent = 'Live';
  refreshSoon();
});
feed.addEventListener('error', () => {
  connection.textContent = 'Not connected, trying again';
});
feed.addEventListener('step', refreshSoon);
feed.addEventListener('status', (event) => {
  const { agentId, kind, status } = JSON.parse(event.data);
  announcement.textContent = `${agentId}: ${kind} ${status}`;
  refreshSoon();
});
// Ages and lengths go on where nothing happens.
setInterval(() => {
  if (document.visibilityState === 'visible') refreshSoon();
}, REFRESH_EVERY_MS);
followLog();
