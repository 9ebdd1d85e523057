// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Keeps the buyer's page up to date while something happens. Without scripts the browser reloads it instead.

const seconds = Number(document.documentElement.dataset.reloadSeconds);

async function look() {
  try {
    const response = await fetch(location.href);
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
    const [shown, wanted] = [document.getElementById('main'), fresh.getElementById('main')];
    if (shown.innerHTML !== wanted.innerHTML) shown.replaceChildren(...document.adoptNode(wanted).childNodes);
    document.title = fresh.title;
    if (fresh.documentElement.dataset.reloadSeconds === undefined) return;
  } catch {
    // The service is unreachable; look again.
  }
  setTimeout(look, seconds * 1000);
}

setTimeout(look, seconds * 1000);
