import type { RunnerRecord } from '../executors/github-actions/record.ts';
import { MAX_SPANS, toSent } from '../executors/github-actions/sent-spans.ts';
import { Backlog, gapLine } from '../operations/backlog.ts';
import type { Lease } from '../processes/lease.ts';
import type { ReportedSpan } from '../telemetry/span.ts';
import type { ServiceLink } from './service-link.ts';

/** Reports progress to the service in order, without blocking the work. */
export interface Reporter {
  readonly currentStep: string;
  step(name: string): void;
  log(line: string): void;
  /** For the service's trace of the operation. */
  span(span: ReportedSpan): void;
  /** Sends a record after all earlier messages and waits for the answer. */
  record(record: RunnerRecord): Promise<unknown>;
  /** Sends everything that is buffered; waits at most `patienceMs`. */
  close(patienceMs: number): Promise<void>;
}

const BATCH_MS = 300;
const BATCH_LINES = 200;
const LONGEST_LINE = 4_000;
/** Of a flood, only the newest lines are kept, so that the last ones arrive in time. */
const MOST_LINES = 1_000;
const ALIVE_MS = 60_000;

type Item = { line: string } | { step: string } | { span: ReportedSpan };
type Message = [route: 'status' | 'record', body: object];

/** Groups the backlog into as few messages as possible, in order. */
function batches({ leftOut, items }: { leftOut: number; items: Item[] }): Message[] {
  const messages: Message[] = [];
  let lines: string[] = leftOut === 0 ? [] : [gapLine(leftOut)];
  const spans = items.flatMap((item) => ('span' in item ? toSent(item.span) : []));
  const endBatch = () => {
    if (lines.length > 0) messages.push(['record', { record: { kind: 'log', lines } }]);
    lines = [];
  };
  for (const item of items) {
    if ('span' in item) continue;
    if ('line' in item) {
      if (lines.length === BATCH_LINES) endBatch();
      lines.push(item.line);
    } else {
      endBatch();
      messages.push(['status', { status: 'provisioning', step: item.step }]);
    }
  }
  endBatch();
  for (let from = 0; from < spans.length; from += MAX_SPANS)
    messages.push(['record', { record: { kind: 'spans', spans: spans.slice(from, from + MAX_SPANS) } }]);
  return messages;
}

export interface ReporterDeps {
  link: ServiceLink;
  lease: Lease;
  leaseMs: number;
  say: (line: string) => void;
  /** Receives the errors of failed reports; a LostError means that the attempt is no longer ours. */
  onError: (error: unknown) => void;
}

/** Each answer of the service renews the lease. */
export function createReporter(deps: ReporterDeps): Reporter {
  return new ServiceReporter(deps);
}

class ServiceReporter implements Reporter {
  readonly #deps: ReporterDeps;
  readonly #held = new Backlog<Item>(MOST_LINES, (item) => !('step' in item));
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

  // Arrow functions, because runbooks call these two detached from the reporter.
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

  readonly span = (span: ReportedSpan): void => {
    this.#held.push({ span });
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

  /** Takes the buffer only when its turn comes: until then, new lines of a flood push out old ones. */
  async #sendHeld(): Promise<void> {
    this.#isWaiting = false;
    for (const batch of batches(this.#held.take())) await this.#send(...batch).catch(this.#deps.onError);
  }
}
