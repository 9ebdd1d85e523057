import { printable } from '../../processes/terminal-text.mjs';
import type { StoredEvent } from './events.ts';

/** An event as one line of a text file, without anything that a terminal would interpret. */
export function toTextLine({ type, data, attempt, at }: StoredEvent): string {
  const what =
    type === 'log' ? String(data.line) : `== ${type}: ${String(type === 'step' ? data.step : data.status)}`;
  return `${at.toISOString()} [${attempt}] ${printable(what)}\n`;
}
