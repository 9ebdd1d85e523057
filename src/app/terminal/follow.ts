import type { Database } from '../../database/connect.ts';
import type { EventHub } from '../../operations/events/event-hub.ts';
import { type FeedEvent, readAfter } from '../../operations/events/feed.ts';
import { printable, printableLines } from '../../processes/terminal-text.mjs';

/** So long news are collected before they are read, so that many orders at once cost few statements. */
const COLLECT_MS = 200;

/**
 * Prints the progress of every operation: each step with its duration, and the outcome.
 * @returns a function that stops the printing
 */
export function followOnTerminal({
  database,
  events,
  say,
}: {
  database: Database;
  events: Pick<EventHub, 'subscribe'>;
  say: (line: string) => void;
}): () => void {
  const followed = new Map<string, Follower>();
  const touched = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const read = async () => {
    const positions = [...touched].map((id) => [id, followed.get(id)?.sequence ?? 0] as const);
    touched.clear();
    for (const event of await readAfter(database, positions)) {
      const follower = followed.get(event.operationId) ?? new Follower(event, say);
      followed.set(event.operationId, follower);
      if (follower.show(event)) followed.delete(event.operationId);
    }
  };
  const readNext = () => {
    timer ??= setTimeout(() => {
      // If the database is unavailable, the next event catches up on the missed ones.
      void read()
        .catch(() => {})
        .finally(() => {
          timer = undefined;
          if (touched.size > 0) readNext();
        });
    }, COLLECT_MS);
  };
  const unsubscribe = events.subscribe('*', (operationId) => {
    if (operationId === undefined) return;
    touched.add(operationId);
    readNext();
  });
  return () => {
    unsubscribe();
    touched.clear();
    clearTimeout(timer);
  };
}

/** Sets an error's text apart from our own output. */
const ERROR_INDENT = '      | ';
const END_STATES = new Set(['succeeded', 'failed', 'cancelled']);

class Follower {
  readonly #say: (line: string) => void;
  readonly #label: string;
  readonly #begun: Date;
  #step: { name: string; since: Date } | undefined;
  /** Of the last event that it has shown. */
  sequence = 0;

  constructor({ agentId, kind, at }: FeedEvent, say: (line: string) => void) {
    this.#say = say;
    this.#label = printable(`${agentId}  ${kind}`);
    this.#begun = at;
  }

  /** Prints the next event. @returns whether the operation has finished */
  show({ sequence, type, data, at }: FeedEvent): boolean {
    this.sequence = sequence;
    if (type === 'step') this.#enterStep(String(data.step), at);
    return type === 'status' && this.#showStatus(data, at);
  }

  #enterStep(name: string, at: Date): void {
    const last = this.#step;
    this.#step = { name, since: at };
    if (last !== undefined) this.#say(`  ${this.#label}  ${printable(last.name)} ${seconds(last.since, at)}`);
  }

  #showStatus(data: Record<string, unknown>, at: Date): boolean {
    const status = String(data.status);
    const why =
      data.error === undefined
        ? ''
        : ` (${printable(String(data.failedStep))}): ${printableLines(String(data.error), ERROR_INDENT)}`;
    if (status === 'active')
      this.#say(`  ${this.#label}  started${Number(data.attempt) > 1 ? `, attempt ${data.attempt}` : ''}`);
    if (status === 'queued' && data.error !== undefined && data.failedStep === undefined)
      this.#say(`  ${this.#label}  waiting: ${printableLines(String(data.error), ERROR_INDENT)}`);
    else if (status === 'queued' && data.error !== undefined)
      this.#say(`  ${this.#label}  failed, will retry${why}`);
    if (!END_STATES.has(status)) return false;
    this.#say(`  ${this.#label}  ${printable(status.toUpperCase())} after ${seconds(this.#begun, at)}${why}`);
    return true;
  }
}

function seconds(from: Date, to: Date): string {
  return `${((to.getTime() - from.getTime()) / 1000).toFixed(1)} s`;
}
