import type { ServiceLink } from '../../clients/service-link.ts';
import type { Lease } from '../../operations/lease.ts';
import type { RunnerRecord } from '../../operations/remote/record.ts';

/** Tells the service what goes on, in order, while the work does not wait for it. */
export interface Reporter {
  readonly currentStep: string;
  step(name: string): void;
  log(line: string): void;
  /** Waits for what was told before, and for the answer. */
  record(record: RunnerRecord): Promise<unknown>;
  /** Waits until all is told, for so long at most. */
  close(patienceMs: number): Promise<void>;
}

const BATCH_MS = 300;
const BATCH_LINES = 200;
const ALIVE_MS = 60_000;
const LONGEST_LINE = 4_000;
/** Lines that wait for a service that is away for minutes; what comes then is left out. */
const MOST_WAITING = 5_000;

/**
 * Every answer renews the lease: whoever is heard of holds the attempt. `onError` hears of what could not be told; a LostError among
 * that means that the attempt is no longer ours.
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
  const held: string[] = [];
  let waiting = 0;
  let leftOut = 0;
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
    while (held.length > 0) {
      const lines = held.splice(0, BATCH_LINES);
      if (waiting < MOST_WAITING) tellLines(lines);
      else leftOut += lines.length;
    }
  };
  const tellLines = (lines: string[]) => {
    if (leftOut > 0) lines.unshift(`… ${leftOut} lines left out`);
    leftOut = 0;
    waiting += lines.length;
    inTurn(() => send('record', { record: { kind: 'log', lines } }))
      .catch(onError)
      .finally(() => {
        waiting -= lines.length;
      });
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
      flush();
      inTurn(() => send('status', { status: 'provisioning', step: name })).catch(onError);
    },
    log: (line) => {
      say(line);
      for (const part of line.split('\n')) held.push(part.slice(0, LONGEST_LINE));
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
