import { setTimeout as wait } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type ApiClient, answer } from '../../client/client.ts';
import { ServiceAway } from './connection.ts';

export interface OperationEvent {
  event: string;
  data: Record<string, unknown>;
}

const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 3_000;
/** Gives up after the service has been unreachable for this long. A restart takes less. */
const PATIENCE_MS = 60_000;
/** The service sends a heartbeat every 15 s; without one for this long the connection is dead. */
const SILENCE_MS = 45_000;

/**
 * Yields an operation's events, each once and in order. Reconnects after a broken connection and resumes
 * after the last event. Ends with the `end` event, or with `follow` false after the events recorded so far.
 */
export async function* operationEvents(
  api: ApiClient,
  operationId: string,
  follow: boolean,
): AsyncGenerator<OperationEvent> {
  let last = '0';
  let delayMs = FIRST_DELAY_MS;
  let awaySince: number | undefined;
  while (true) {
    try {
      for await (const { id, ...event } of connectOnce(api, operationId, last, follow)) {
        last = id ?? last;
        delayMs = FIRST_DELAY_MS;
        awaySince = undefined;
        if (event.event === 'end') return;
        yield event;
      }
      if (!follow) return;
    } catch (error) {
      awaySince ??= Date.now();
      if (!isAway(error) || Date.now() - awaySince > PATIENCE_MS) throw error;
    }
    await wait(delayMs);
    delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS);
  }
}

/** True for a refused connection and for one that broke midway. */
function isAway(error: unknown): boolean {
  return (
    error instanceof ServiceAway || error instanceof TypeError || (error as Error)?.name === 'AbortError'
  );
}

async function* connectOnce(
  api: ApiClient,
  operationId: string,
  last: string,
  follow: boolean,
): AsyncGenerator<OperationEvent & { id: string | undefined }> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const body = (await answer(
      api.GET('/api/operations/{operationId}/events', {
        params: {
          path: { operationId },
          query: follow ? {} : { follow: 'false' },
          header: { 'last-event-id': Number(last) },
        },
        parseAs: 'stream',
        signal: silence.signal,
      }),
    )) as ReadableStream<Uint8Array> | null;
    if (body === null) throw new ServiceAway('The service sent no events');
    const events: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => events.push(event) });
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      timer.refresh();
      parser.feed(text);
      for (const { id, event = 'message', data } of events.splice(0))
        yield { id, event, data: JSON.parse(data) };
    }
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}
