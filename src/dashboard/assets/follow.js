// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Keeps the buyer's page up to date while something happens, and any page while the database is away. Without
// scripts the browser reloads it instead.

const root = document.documentElement;

function lookLater() {
  const seconds = Number(root.dataset.reloadSeconds);
  if (seconds > 0) setTimeout(look, seconds * 1000);
}

async function look() {
  try {
    const response = await fetch(location.href);
    // Something between us and the service answered: look again.
    if (response.status >= 500) return lookLater();
    if (root.dataset.reloadsWhole !== undefined) return location.reload();
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
    show(fresh.getElementById('main'));
    document.title = fresh.title;
    root.dataset.reloadSeconds = fresh.documentElement.dataset.reloadSeconds ?? '';
  } catch {
    // The service is unreachable; look again.
  }
  lookLater();
}

function show(wanted) {
  const shown = document.getElementById('main');
  if (shown.innerHTML === wanted.innerHTML) return;
  const focused = document.activeElement?.id;
  shown.replaceChildren(...document.adoptNode(wanted).childNodes);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

lookLater();
