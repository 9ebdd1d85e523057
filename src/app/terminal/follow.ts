import type { Database } from '../../database/connect.ts';
import type { EventHub } from '../../operations/events/event-hub.ts';
import { readEvents } from '../../operations/events/events.ts';
import { printable, printableLines } from '../../processes/terminal-text.mjs';

/**
 * Prints the progress of every operation: each step with its duration, and the outcome.
 * @returns a function that stops the printing
 */
export function followOnTerminal(deps: {
  database: Database;
  events: EventHub;
  say: (line: string) => void;
}): () => void {
  const followed = new Map<string, Follower>();
  return deps.events.subscribe('*', (operationId) => {
    if (operationId === undefined) return;
    let follower = followed.get(operationId);
    if (follower === undefined) {
      follower = new Follower(deps.database, operationId, deps.say);
      followed.set(operationId, follower);
    }
    void follower.catchUp().then((finished) => finished && followed.delete(operationId));
  });
}

/** Sets an error's text apart from our own output. */
const ERROR_INDENT = '      | ';
const END_STATES = new Set(['succeeded', 'failed', 'cancelled']);

class Follower {
  readonly #database: Database;
  readonly #operationId: string;
  readonly #say: (line: string) => void;
  #sequence = 0;
  #label: string | undefined;
  #step: { name: string; since: Date } | undefined;
  #begun: Date | undefined;
  #reading: Promise<boolean> = Promise.resolve(false);

  constructor(database: Database, operationId: string, say: (line: string) => void) {
    this.#database = database;
    this.#operationId = operationId;
    this.#say = say;
  }

  /** Prints the new events. @returns whether the operation has finished */
  catchUp(): Promise<boolean> {
    // If the database is unavailable, the next event catches up on the missed ones.
    this.#reading = this.#reading.then(() => this.#read()).catch(() => false);
    return this.#reading;
  }

  async #read(): Promise<boolean> {
    this.#label ??= await this.#describe();
    let finished = false;
    for (;;) {
      const events = await readEvents(this.#database, this.#operationId, this.#sequence);
      if (events.length === 0) return finished;
      for (const event of events) {
        this.#sequence = event.sequence;
        this.#begun ??= event.at;
        if (event.type === 'step') this.#enterStep(String(event.data.step), event.at);
        if (event.type === 'status') finished = this.#showStatus(event.data, event.at);
      }
    }
  }

  async #describe(): Promise<string> {
    const row = await this.#database
      .selectFrom('operations')
      .select(['kind', 'agent_id'])
      .where('operation_id', '=', this.#operationId)
      .executeTakeFirstOrThrow();
    return printable(`${row.agent_id}  ${row.kind}`);
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
    this.#say(
      `  ${this.#label}  ${printable(status.toUpperCase())} after ${seconds(this.#begun ?? at, at)}${why}`,
    );
    return true;
  }
}

function seconds(from: Date, to: Date): string {
  return `${((to.getTime() - from.getTime()) / 1000).toFixed(1)} s`;
}
