import { setTimeout as wait } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { Client } from './client.ts';
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
  client: Client,
  operationId: string,
  follow: boolean,
): AsyncGenerator<OperationEvent> {
  let last = '0';
  let delayMs = FIRST_DELAY_MS;
  let awaySince: number | undefined;
  while (true) {
    try {
      for await (const { id, ...event } of connectOnce(client, operationId, last, follow)) {
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
  client: Client,
  operationId: string,
  last: string,
  follow: boolean,
): AsyncGenerator<OperationEvent & { id: string | undefined }> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const path = `/api/operations/${operationId}/events${follow ? '' : '?follow=false'}`;
    const body = await client.stream(path, { 'last-event-id': last }, silence.signal);
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
