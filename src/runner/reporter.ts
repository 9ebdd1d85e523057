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

/**
 * Every answer renews the lease, because the service hears from the attempt's holder. `onError` receives what
 * could not be sent; a LostError among it means that the attempt is no longer ours.
 */
export function createReporter(deps: {
  link: ServiceLink;
  lease: Lease;
  leaseMs: number;
  say: (line: string) => void;
  onError: (error: unknown) => void;
}): Reporter {
  const { link, lease, leaseMs, say, onError } = deps;
  let currentStep = 'queued';
  const held = new Backlog<Told>(MOST_LINES, (told) => 'line' in told);
  let isWaiting = false;
  let timer: NodeJS.Timeout | undefined;
  let telling: Promise<unknown> = Promise.resolve();

  const send = async (route: 'status' | 'record', body: object) => {
    const begun = Date.now();
    const answer = await link.send(route, body);
    lease.renew(begun + leaseMs);
    return answer;
  };
  const inTurn = <T>(tell: () => Promise<T>): Promise<T> => {
    const told = telling.then(tell);
    telling = told.catch(() => {});
    return told;
  };
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (held.isEmpty || isWaiting) return;
    isWaiting = true;
    void inTurn(tellHeld);
  };
  // Takes lines when their turn comes: until then the newest of a flood push out the oldest.
  const tellHeld = async () => {
    isWaiting = false;
    for (const batch of batches(held.take())) await send(...batch).catch(onError);
  };
  const alive = setInterval(() => {
    inTurn(() => send('record', { record: { kind: 'alive' } })).catch(onError);
  }, ALIVE_MS);
  return {
    get currentStep() {
      return currentStep;
    },
    step: (name) => {
      if (name === currentStep) return;
      currentStep = name;
      say(`▸ ${name}`);
      held.push({ step: name });
      flush();
    },
    log: (line) => {
      say(line);
      for (const part of line.split('\n')) held.push({ line: part.slice(0, LONGEST_LINE) });
      timer ??= setTimeout(flush, BATCH_MS);
    },
    record: (record) => {
      flush();
      return inTurn(() => send('record', { record }));
    },
    close: async (patienceMs) => {
      clearInterval(alive);
      flush();
      const late = new Promise((resolve) => setTimeout(resolve, patienceMs).unref());
      await Promise.race([telling, late]);
    },
  };
}
