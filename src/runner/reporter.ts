import type { RunnerRecord } from '../executors/github-actions/record.ts';
import { Backlog, gapLine } from '../operations/backlog.ts';
import type { Lease } from '../processes/lease.ts';
import type { ServiceLink } from './service-link.ts';

/** Reports progress to the service in order, without making the work wait. */
export interface Reporter {
  readonly currentStep: string;
  step(name: string): void;
  log(line: string): void;
  /** Waits for earlier messages and for the answer. */
  record(record: RunnerRecord): Promise<unknown>;
  /** Waits until everything is sent, for at most `patienceMs`. */
  close(patienceMs: number): Promise<void>;
}

const BATCH_MS = 300;
const BATCH_LINES = 200;
const LONGEST_LINE = 4_000;
/** Keeps the newest lines of a flood, so that the last ones arrive in time. */
const MOST_LINES = 1_000;
const ALIVE_MS = 60_000;

type Told = { line: string } | { step: string };
type Message = [route: 'status' | 'record', body: object];

/** Groups the backlog into as few messages as possible, in order. */
function batches({ leftOut, items }: { leftOut: number; items: Told[] }): Message[] {
  const messages: Message[] = [];
  let lines: string[] = leftOut === 0 ? [] : [gapLine(leftOut)];
  const endBatch = () => {
    if (lines.length > 0) messages.push(['record', { record: { kind: 'log', lines } }]);
    lines = [];
  };
  for (const told of items) {
    if ('line' in told) {
      if (lines.length === BATCH_LINES) endBatch();
      lines.push(told.line);
    } else {
      endBatch();
      messages.push(['status', { status: 'provisioning', step: told.step }]);
    }
  }
  endBatch();
  return messages;
}

export interface ReporterDeps {
  link: ServiceLink;
  lease: Lease;
  leaseMs: number;
  say: (line: string) => void;
  /** Receives what could not be reported; a LostError among that means that the attempt is no longer ours. */
  onError: (error: unknown) => void;
}

/** Every answer renews the lease: an attempt that reports holds it. */
export function createReporter(deps: ReporterDeps): Reporter {
  return new ServiceReporter(deps);
}

class ServiceReporter implements Reporter {
  readonly #deps: ReporterDeps;
  readonly #held = new Backlog<Told>(MOST_LINES, (told) => 'line' in told);
  readonly #alive: NodeJS.Timeout;
  #currentStep = 'queued';
  #isWaiting = false;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
    this.#alive = setInterval(() => {
      this.#inTurn(() => this.#send('record', { record: { kind: 'alive' } })).catch(deps.onError);
    }, ALIVE_MS);
  }

  get currentStep(): string {
    return this.#currentStep;
  }

  // Arrow functions: a runbook gets these two without the reporter.
  readonly step = (name: string): void => {
    if (name === this.#currentStep) return;
    this.#currentStep = name;
    this.#deps.say(`▸ ${name}`);
    this.#held.push({ step: name });
    this.#flush();
  };

  readonly log = (line: string): void => {
    this.#deps.say(line);
    for (const part of line.split('\n')) this.#held.push({ line: part.slice(0, LONGEST_LINE) });
    this.#timer ??= setTimeout(() => this.#flush(), BATCH_MS);
  };

  record(record: RunnerRecord): Promise<unknown> {
    this.#flush();
    return this.#inTurn(() => this.#send('record', { record }));
  }

  async close(patienceMs: number): Promise<void> {
    clearInterval(this.#alive);
    this.#flush();
    const late = new Promise((resolve) => setTimeout(resolve, patienceMs).unref());
    await Promise.race([this.#sending, late]);
  }

  async #send(route: 'status' | 'record', body: object): Promise<unknown> {
    const begun = Date.now();
    const answer = await this.#deps.link.send(route, body);
    this.#deps.lease.renew(begun + this.#deps.leaseMs);
    return answer;
  }

  #inTurn<T>(send: () => Promise<T>): Promise<T> {
    const sent = this.#sending.then(send);
    this.#sending = sent.catch(() => {});
    return sent;
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#held.isEmpty || this.#isWaiting) return;
    this.#isWaiting = true;
    void this.#inTurn(() => this.#sendHeld());
  }

  /**
   * Takes what is held only when its turn comes: until then the newest lines of a flood push out the oldest.
   */
  async #sendHeld(): Promise<void> {
    this.#isWaiting = false;
    for (const batch of batches(this.#held.take())) await this.#send(...batch).catch(this.#deps.onError);
  }
}
