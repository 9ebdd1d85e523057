import { z } from 'zod';
import { readEvents, type StoredEvent } from '../../operations/events/events.ts';
import { getOperation } from '../../operations/requests.ts';
import { createWakeUp } from '../../processes/wake-up.ts';
import type { HttpDeps } from '../deps.ts';
import { endpoint, read } from '../endpoint.ts';
import {
  answersHead,
  type EventStream,
  eventSchema,
  openEventStream,
  type ServerSentEvent,
} from '../event-stream.ts';
import { operationParams } from './operation-json.ts';

/** Notifications wake the loop at once; polling covers those lost with a connection. */
const POLL_MS = 5_000;
const BATCH = 500;
const LARGEST_SEQUENCE = 2_147_483_647;

const sequence = z.coerce
  .number({ error: 'must be the id of an event' })
  .int('must be the id of an event')
  .min(0, 'must be the id of an event')
  .max(LARGEST_SEQUENCE, 'must be the id of an event');

const query = z.object({
  lastEventId: sequence
    .optional()
    .meta({ description: 'Like the header Last-Event-ID, which takes precedence' }),
  follow: z
    .stringbool({ error: 'must be true or false' })
    .default(true)
    .meta({ description: 'false: only the events so far' }),
});
const headers = z.object({ 'last-event-id': sequence.optional() });

export const operationEvents = endpoint({
  id: 'operationEvents',
  method: 'get',
  path: '/api/operations/{operationId}/events',
  summary: 'The events of an operation as server-sent events, followed by `end`',
  access: 'viewer',
  params: operationParams,
  query,
  headers,
  answers: {
    200: {
      description: '`status`, `step` and `log`, with ids from 1 without gaps; `end` once it has finished',
      contentType: 'text/event-stream',
      schema: eventSchema,
    },
  },
  handle: async ({ params, query: { lastEventId, follow }, request, response, deps }) => {
    const after = read(headers, request.headers, 'header')?.['last-event-id'] ?? lastEventId ?? 0;
    await getOperation(deps.database, params.operationId);
    if (answersHead(request, response)) return;
    const stream = openEventStream(request, response, deps.stopping);
    await send(deps, stream, { operationId: params.operationId, after, follow });
    stream.end();
  },
});

/** Sends all events after a sequence number, and new ones until the operation has finished. */
async function send(
  { database, events }: HttpDeps,
  stream: EventStream,
  { operationId, after, follow }: { operationId: string; after: number; follow: boolean },
): Promise<void> {
  const wakeUp = createWakeUp();
  // Subscribe before the first read, so that events appended in between wake the loop.
  const unsubscribe = events.subscribe(operationId, wakeUp.wake);
  try {
    let last = after;
    while (!stream.signal.aborted) {
      // Read the status before the events: a final status was committed together with the last events.
      const { status } = await getOperation(database, operationId);
      const found = await readEvents(database, operationId, last, BATCH);
      await stream.send(found.map(toServerSentEvent));
      last = found.at(-1)?.sequence ?? last;
      if (found.length === BATCH) continue;
      if (status !== 'queued' && status !== 'active') {
        await stream.send([{ event: 'end', data: { status } }]);
        return;
      }
      if (!follow) return;
      await wakeUp.sleep(POLL_MS, stream.signal);
    }
  } finally {
    unsubscribe();
  }
}

export function toServerSentEvent({ sequence: id, type, data, attempt, at }: StoredEvent): ServerSentEvent {
  return { id, event: type, data: { ...data, attempt, at } };
}
