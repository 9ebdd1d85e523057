import { setTimeout as wait } from 'node:timers/promises';
import { readEventStream } from './event-stream.ts';

/** What a page has seen so far, however often its connection broke. */
export interface OpenPage {
  /** Ids of the agents in the list that it read last. */
  agents(): string[];
  /** `agentId status`, for each event that it got, in order. */
  events(): string[];
  /** How often it has connected. */
  connections(): number;
}

/** A log that is open: the numbers of its lines, in order of arrival. */
export interface OpenLog {
  numbers(): number[];
  connections(): number;
}

type Ask = (path: string, headers?: Record<string, string>) => Promise<Response>;

const RECONNECT_MS = 200;
const GATHER_MS = 50;

/** Keeps a list up to date as feed.js and live.js do: after each event, and whenever it has connected. */
export function openPage(ask: Ask, signal: AbortSignal): OpenPage {
  let agents: string[] = [];
  let isPending = false;
  let isDue = false;
  let connections = 0;
  const events: string[] = [];
  const refresh = async () => {
    isDue = false;
    await wait(GATHER_MS);
    const response = await ask('/api/agents?limit=200').catch(() => undefined);
    if (response?.ok) {
      const { items } = (await response.json()) as { items: { agentId: string }[] };
      agents = items.map(({ agentId }) => agentId);
    }
    isPending = false;
    if (isDue) refreshSoon();
  };
  const refreshSoon = () => {
    isDue = true;
    if (isPending) return;
    isPending = true;
    void refresh();
  };
  void keepConnected(signal, async () => {
    const response = await ask('/api/events');
    if (!response.ok) return;
    connections += 1;
    let read = 0;
    await readEventStream(response, (all) => {
      for (const { event, data } of all.slice(read))
        if (event === 'status') events.push(`${data.agentId} ${data.status}`);
      if (all.length > read) refreshSoon();
      read = all.length;
      return false;
    });
  });
  return { agents: () => agents, events: () => events, connections: () => connections };
}

/** Follows an operation as log.js does, from its last line on after a broken connection. */
export function openLog(ask: Ask, operationId: string, signal: AbortSignal): OpenLog {
  const numbers: number[] = [];
  let connections = 0;
  void keepConnected(signal, async () => {
    const response = await ask(`/api/operations/${operationId}/events`, {
      'last-event-id': String(numbers.at(-1) ?? 0),
    });
    if (!response.ok) return;
    connections += 1;
    let read = 0;
    await readEventStream(response, (all) => {
      for (const { id } of all.slice(read)) if (id !== undefined) numbers.push(Number(id));
      read = all.length;
      return false;
    });
  });
  return { numbers: () => numbers, connections: () => connections };
}

/** A connection that is refused or breaks is opened again. */
async function keepConnected(signal: AbortSignal, connect: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await connect().catch(() => {});
    await wait(RECONNECT_MS, undefined, { signal }).catch(() => {});
  }
}
