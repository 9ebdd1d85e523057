import { type Html, html } from '../html.ts';
import { round } from './chart.ts';

/** How a stretch of a strip looks. They differ in height and pattern, so that no colour is needed. */
export type StripTone = 'good' | 'busy' | 'bad' | 'wait' | 'off';

export interface StripPart {
  start: Date;
  end: Date;
  tone: StripTone;
  /** A word or two, drawn at its beginning where there is room. */
  mark?: string | undefined;
}

export interface Scale {
  from: Date;
  to: Date;
}

/** Narrower stretches could not be seen. */
const NARROWEST = 0.4;
/** Top and height in a strip of 20 units. */
const SHAPES: Record<StripTone, readonly [y: number, height: number]> = {
  good: [3, 14],
  busy: [3, 14],
  bad: [3, 14],
  wait: [8, 4],
  off: [14, 3],
};

/**
 * Renders stretches of time to scale, as wide as its place. The words beside it or its table say the same, so
 * screen readers skip it. The page has `patterns()` once.
 */
export function strip(parts: readonly StripPart[], scale: Scale): Html {
  const at = placeOn(scale);
  return html`<svg class="strip" aria-hidden="true" height="20"><rect class="ground" y="3" width="100%" height="14"/>${parts.map(
    ({ start, end, tone, mark }) => {
      const [x, width] = [at(start), Math.max(NARROWEST, at(end) - at(start))];
      const [y, height] = SHAPES[tone];
      const fill = tone === 'bad' && html` fill="url(#hatch-bad)"`;
      return html`<rect class="${tone}"${fill} x="${round(Math.min(x, 100 - NARROWEST))}%" y="${y}" width="${round(width)}%" height="${height}"/>${
        mark !== undefined && html`<text x="${round(x)}%" dx="3" y="14">${mark}</text>`
      }`;
    },
  )}</svg>`;
}

/** Renders the times below strips of the same scale: its beginning, its middle, its end. */
export function stripAxis(labels: readonly [from: string, middle: string, to: string]): Html {
  const [from, middle, to] = labels;
  return html`<svg class="strip axis" aria-hidden="true" height="18"><line x1="0" x2="100%" y1="1" y2="1"/>
<text x="0" y="15">${from}</text><text x="50%" y="15" text-anchor="middle">${middle}</text><text x="100%" y="15" text-anchor="end">${to}</text></svg>`;
}

/** What the strips of a page are filled with. Not in a part that is updated: references to it would break. */
export function patterns(): Html {
  return html`<svg class="visually-hidden" aria-hidden="true" width="1" height="1"><defs><pattern id="hatch-bad" width="5" height="5"
 patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="5"/></pattern></defs></svg>`;
}

/** @returns a place in per cent */
function placeOn({ from, to }: Scale): (time: Date) => number {
  const length = Math.max(1, to.getTime() - from.getTime());
  return (time) => Math.min(100, Math.max(0, ((time.getTime() - from.getTime()) / length) * 100));
}
