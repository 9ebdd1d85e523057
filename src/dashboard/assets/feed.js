// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Listens to the service once for all of a browser's tabs: over HTTP/1.1 a browser has six connections to a
// site, and the seventh tab would wait for one for ever. The tab that holds the lock listens and tells the
// others; when it closes, the next one listens. Each tab hears it as the event `news` of its document.

const REOPEN_MS = 2_000;
/** Over plain http from another machine there are no locks: every tab listens for itself. */
const isShared = navigator.locks !== undefined;
const channel = new BroadcastChannel('agent-stacks feed');
/** What the tab that listens said last about its connection; undefined in the others. */
let state;

function hear(news) {
  document.dispatchEvent(new CustomEvent('news', { detail: news }));
}
function tell(type, data) {
  if (type === 'open' || type === 'away') state = type;
  if (isShared) channel.postMessage({ type, data });
  hear({ type, data });
}

function listen() {
  const source = new EventSource('/api/events');
  for (const type of ['status', 'step', 'change'])
    source.addEventListener(type, (event) => tell(type, JSON.parse(event.data)));
  source.addEventListener('open', () => tell('open'));
  source.addEventListener('error', () => {
    tell('away');
    // An answer other than 200, as while the service starts, ends a source for good.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, REOPEN_MS);
  });
}

channel.addEventListener('message', ({ data }) => {
  // A tab that has just been opened asks how things stand.
  if (data.type !== 'ask') hear(data);
  else if (state !== undefined) channel.postMessage({ type: state });
});

if (!isShared) listen();
else {
  navigator.locks.request('agent-stacks feed', () => {
    listen();
    return new Promise(() => {});
  });
  channel.postMessage({ type: 'ask' });
}
