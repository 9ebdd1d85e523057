import { type Html, html } from '../html.ts';
import { capitalized } from '../words.ts';

/** `good`, `busy` and `bad` differ in shape as well as in colour; `plain` says nothing of the kind. */
export type Tone = 'good' | 'busy' | 'bad' | 'plain';

const TONES: Record<string, Tone> = {
  running: 'good',
  healthy: 'good',
  succeeded: 'good',
  requested: 'busy',
  provisioning: 'busy',
  stopping: 'busy',
  destroying: 'busy',
  queued: 'busy',
  active: 'busy',
  failed: 'bad',
  unhealthy: 'bad',
  suspended: 'bad',
  hibernated: 'bad',
};

/** The tone of an agent's or operation's state, or of a health. */
export function toneOf(state: string): Tone {
  return TONES[state] ?? 'plain';
}

/** Renders a state in words, with its shape and colour. */
export function badge(state: string, tone: Tone = toneOf(state), text: string = capitalized(state)): Html {
  return html`<span class="badge ${state} ${tone}">${text}</span>`;
}
