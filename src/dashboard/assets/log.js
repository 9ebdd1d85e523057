// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Appends new lines to the log of an operation. Nothing that is shown is ever replaced, so a selection stays.
// While Follow is ticked, the log stays at its end; only the reader unticks it.

let source;

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
  source?.close();
  const log = document.getElementById('log');
  if (log?.dataset.last === undefined) return;
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
  own.addEventListener('end', () => own.close());
}

document.addEventListener('newlog', start);
document.addEventListener('change', ({ target }) => {
  if (target.id === 'follow') keepAtEnd(document.getElementById('log'));
});
start();
