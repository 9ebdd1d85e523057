// @ts-nocheck: this file runs in the browser, and the DOM's types must stay out of the rest of the project.

// Copies what a button with data-copy names, and says so.

const SHOWN_MS = 1_500;
const announcement = document.getElementById('announcement');

/** Over plain http there is no clipboard: the text is marked, to be copied by hand. */
function mark(button) {
  const text = button.parentElement.querySelector('code') ?? button;
  getSelection().selectAllChildren(text);
  announcement.textContent = 'Marked, press Ctrl C';
}

document.addEventListener('click', async ({ target }) => {
  const button = target.closest?.('[data-copy]');
  if (button === null || button === undefined) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    mark(button);
    return;
  }
  announcement.textContent = 'Copied';
  button.classList.add('done');
  setTimeout(() => button.classList.remove('done'), SHOWN_MS);
});
