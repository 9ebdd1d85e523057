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
/** How long the service may be away before following it is given up: longer than it takes to start again. */
const PATIENCE_MS = 60_000;
/** The service sends a sign of life every 15 s; without one for this long the connection is dead. */
const SILENCE_MS = 45_000;

/**
 * The events of an operation, each once and in order. A connection that breaks is made anew and resumes after the last event.
 * Ends after `end`, or with `follow` false after what there is.
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

/** A refused connection, or one that broke in the middle. */
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
