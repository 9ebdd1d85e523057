import { type Html, html } from '../html.ts';

/**
 * Renders a text with a button that copies it. Without scripts there is no button, and the text can be
 * marked.
 */
export function copyable(text: string, what: string): Html {
  return html`<span class="copyable"><code>${text}</code>${copyButton(text, what)}</span>`;
}

export function copyButton(text: string, what: string): Html {
  return html`<button type="button" class="copy quiet" data-copy="${text}">Copy<span class="visually-hidden"> ${what}</span></button>`;
}
