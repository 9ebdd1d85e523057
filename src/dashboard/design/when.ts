import { type Html, html } from '../html.ts';
import { age } from '../words.ts';

/** Formats a time exactly: `2026-11-30 06:04:56 UTC`. */
export function exactTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** Formats a time by its distance from now: `5 min ago`, `in 2 h`. */
export function relativeTime(iso: string, now = Date.now()): string {
  const at = Date.parse(iso);
  return at > now ? `in ${age(new Date(now).toISOString(), at)}` : `${age(iso, now)} ago`;
}

/** Renders a time relative to now, with the exact one on hover; the script keeps it current. */
export function when(iso: string, now = Date.now()): Html {
  return html`<span class="when" title="${exactTime(iso)}"><time datetime="${iso}">${relativeTime(iso, now)}</time></span>`;
}
