// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Appends new lines to the log of an operation. Nothing that is shown is ever replaced, so a selection stays.
// While Follow is ticked, the log stays at its end; only the reader unticks it.

const REOPEN_MS = 2_000;

let source;
let reopening;

function isSelecting(log) {
  const selection = getSelection();
  return !selection.isCollapsed && log.contains(selection.anchorNode);
}

function keepAtEnd(log) {
  const follow = document.getElementById('follow');
  if (follow?.checked && !isSelecting(log)) log.scrollTop = log.scrollHeight;
}

function part(name, className, text) {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

/** As log-lines.ts renders it. */
function append(log, event, className, text) {
  const number = event.lastEventId;
  log.dataset.last = number;
  if (document.getElementById(`L${number}`) !== null) return;
  const line = part('div', `entry ${className}`, '');
  line.id = `L${number}`;
  const link = part('a', 'no', number);
  link.href = `/operations/${log.dataset.operation}?line=${number}#L${number}`;
  line.append(link, part('span', 'at', JSON.parse(event.data).at.slice(11, 19)), part('span', 'text', text));
  log.querySelector('.none')?.remove();
  log.append(line);
  keepAtEnd(log);
}

const words = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll('_', ' ');

function start() {
  stop();
  const log = document.getElementById('log');
  if (log?.dataset.last === undefined || log.dataset.ended !== undefined) return;
  keepAtEnd(log);
  const { operation, last } = log.dataset;
  const own = new EventSource(`/api/operations/${operation}/events?lastEventId=${last}`);
  source = own;
  const on = (type, show) => own.addEventListener(type, (event) => show(event, JSON.parse(event.data)));
  on('log', (event, { line }) => append(log, event, /^(error|fatal):/.test(line) ? 'error' : 'info', line));
  on('step', (event, { step, attempt }) => {
    // The status that comes with it says the same.
    if (step !== 'finished')
      append(log, event, 'step', `${words(step)}${attempt > 1 ? ` (try ${attempt})` : ''}`);
  });
  on('status', (event, { status, error }) =>
    append(log, event, 'status', `${words(status)}${error === undefined ? '' : `: ${error}`}`),
  );
  // The operation has finished. An open EventSource would reconnect forever.
  own.addEventListener('end', () => {
    log.dataset.ended = 'yes';
    own.close();
  });
  own.addEventListener('error', () => {
    // An answer other than 200, as while the service starts, ends a source for good.
    if (own === source && own.readyState === EventSource.CLOSED) reopening = setTimeout(start, REOPEN_MS);
  });
}

function stop() {
  clearTimeout(reopening);
  source?.close();
}

document.addEventListener('newlog', start);
document.addEventListener('change', ({ target }) => {
  if (target.id === 'follow') keepAtEnd(document.getElementById('log'));
});
// A browser has six connections to a site: a log that nobody sees keeps none. It continues where it was.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') start();
  else stop();
});
start();
