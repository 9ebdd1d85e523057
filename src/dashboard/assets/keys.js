// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Keyboard shortcuts of the operator's pages; `?` lists them. Everything they do, a link on the page does too.

const GOES = { o: '/', a: '/agents', t: '/attention' };
/** How long after `g` the second key counts. */
const SECOND_KEY_MS = 1_500;

const list = document.getElementById('keys');
let goUntil = 0;

function isTyping({ target }) {
  // A box that is ticked takes no letters.
  return target.closest?.('input:not([type="checkbox"]), select, textarea, [contenteditable]') !== null;
}

function search() {
  const field = document.getElementById('search');
  field?.focus();
  field?.select();
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || list.open) return;
  const goes = Date.now() < goUntil ? GOES[event.key] : undefined;
  goUntil = event.key === 'g' ? Date.now() + SECOND_KEY_MS : 0;
  if (goes !== undefined) location.assign(goes);
  else if (event.key === '?') list.showModal();
  else if (event.key === '/') search();
  else return;
  event.preventDefault();
});

document.getElementById('shows-keys').addEventListener('click', (event) => {
  event.preventDefault();
  list.showModal();
});
