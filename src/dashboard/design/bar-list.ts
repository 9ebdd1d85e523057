import { type Html, html, type Renderable } from '../html.ts';

export interface Bar {
  words: Renderable;
  /** The number as the page says it, such as `3 of 60`. */
  figure: Renderable;
  /** How much of the track it fills, from 0 to 1; null: there is no limit to compare with, so no track. */
  share: number | null;
  /** Marks one that is used up. */
  isFull?: boolean;
}

/** Renders bars with their words: shares of limits, or counts compared with the largest. */
export function barList(bars: readonly Bar[]): Html {
  return html`<ul class="bars">${bars.map(
    ({
      words,
      figure,
      share,
      isFull = false,
    }) => html`<li><div class="words"><span>${words}</span><span class="number">${figure}</span></div>
${share !== null && track(share, isFull)}</li>`,
  )}</ul>`;
}

/** The words beside it say the same, so screen readers skip it. */
function track(share: number, isFull: boolean): Html {
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  return html`<svg aria-hidden="true"><rect class="track" width="100%" height="100%" rx="3"/><rect class="bar${isFull && ' full'}" width="${percent}%" height="100%" rx="3"/></svg>`;
}

/** Renders a part of the figures that is no chart over time. */
export function card(id: string, title: string, content: Renderable): Html {
  return html`<section class="chart" aria-labelledby="${id}-title"><strong id="${id}-title">${title}</strong>
${content}</section>`;
}
