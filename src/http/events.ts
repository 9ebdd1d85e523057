import { setTimeout as wait } from 'node:timers/promises';
import { openFeed } from '../operations/events/feed.ts';
import { endpoint } from './endpoint.ts';
import { answersHead, eventSchema, openEventStream } from './event-stream.ts';
import { createWakeUp } from './wake-up.ts';

const LOOK_ANYWAY_MS = 10_000;
/** Log lines also wake the reader, and come in bursts. */
const GATHER_MS = 100;

export const feed = endpoint({
  id: 'feed',
  method: 'get',
  path: '/api/events',
  summary: 'Live events of all operations, as server-sent events; after a reconnect, read the lists again',
  access: 'viewer',
  answers: {
    200: {
      description: '`open` once, then `status` and `step` with the ids of their operation and agent',
      contentType: 'text/event-stream',
      schema: eventSchema,
    },
  },
  handle: async ({ request, response, deps: { database, events, stopping } }) => {
    if (answersHead(request, response)) return;
    const wakeUp = createWakeUp();
    const woken = { ids: new Set<string>(), any: false };
    const unsubscribe = events.subscribe('*', (operationId) => {
      if (operationId === undefined) woken.any = true;
      else woken.ids.add(operationId);
      wakeUp.wake();
    });
    try {
      const source = await openFeed(database);
      const stream = openEventStream(request, response, stopping);
      const { signal } = stream;
      await stream.send([{ event: 'open', data: {} }]);
      while (!signal.aborted) {
        await wakeUp.sleep(LOOK_ANYWAY_MS, signal);
        await wait(GATHER_MS, undefined, { signal }).catch(() => {});
        if (signal.aborted) break;
        const wanted = woken.any || woken.ids.size === 0 ? 'any' : [...woken.ids];
        woken.any = false;
        woken.ids.clear();
        const found = await source.next(wanted);
        await stream.send(
          found.map(({ type, data, ...ids }) => ({ event: type, data: { ...data, ...ids } })),
        );
      }
      stream.end();
    } finally {
      unsubscribe();
    }
  },
});
