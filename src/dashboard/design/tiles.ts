import { type Html, html } from '../html.ts';
import { badge, type Tone, toneOf } from './badge.ts';

export interface Tile {
  name: string;
  /** In words, if it is not the state's name. */
  text?: string;
  tone?: Tone;
  count: number;
  /** The list of what was counted. */
  href: string;
}

/** Renders counts, each with a link to the list of what was counted. */
export function tiles(list: readonly Tile[]): Html {
  return html`<ul class="tiles">${list.map(
    ({ name, text, tone = toneOf(name), count, href }) =>
      html`<li><a class="tile" href="${href}"><strong>${count.toLocaleString('en')}</strong> ${badge(name, count === 0 ? 'plain' : tone, text)}</a></li>`,
  )}</ul>`;
}
