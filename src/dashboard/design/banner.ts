import { type Html, html, type Renderable } from '../html.ts';

export interface Need {
  /** Unique on the page. */
  id: string;
  title: Renderable;
  cause: Renderable;
  cure: Renderable;
  /** Buttons and links that lead to what is to be done. */
  actions?: Renderable;
}

/** Renders what needs a person: what it is, why, what to do about it, and the button for that. */
export function needBanner({ id, title, cause, cure, actions }: Need): Html {
  return html`<section class="problem need" aria-labelledby="${id}-title">
<h3 id="${id}-title">${title}</h3>
<p>${cause}</p>
<p class="cure"><span class="visually-hidden">What to do: </span>${cure}</p>
${actions !== undefined && html`<div class="actions">${actions}</div>`}
</section>`;
}

/** Renders what takes the place of an empty list: why it is empty, and what to do next. */
export function emptyState(title: string, text: Renderable, actions?: Renderable): Html {
  return html`<div class="empty"><strong>${title}</strong>
<p class="muted">${text}</p>${actions !== undefined && html`<div class="actions">${actions}</div>`}</div>`;
}
