import { createSharedFeed, type News } from '../operations/events/shared-feed.ts';
import { endpoint } from './endpoint.ts';
import { answersHead, eventSchema, openEventStream, type ServerSentEvent } from './event-stream.ts';

export const feed = endpoint({
  id: 'feed',
  method: 'get',
  path: '/api/events',
  summary: 'Live events of all operations, as server-sent events; after a reconnect, read the lists again',
  access: 'viewer',
  answers: {
    200: {
      description:
        '`open` once, then `status` and `step` with the ids of their operation and agent, and `change` when something else has changed: ' +
        'an agent’s health or holds, a breaker, a finding, a proposal, a check, a worker',
      contentType: 'text/event-stream',
      schema: eventSchema,
    },
  },
  handle: async ({ request, response, deps }) => {
    if (answersHead(request, response)) return;
    const listener = await (deps.feed ?? createSharedFeed(deps)).listen();
    try {
      const stream = openEventStream(request, response, deps.stopping);
      await stream.send([{ event: 'open', data: {} }]);
      for (;;) {
        const news = await listener.next(stream.signal);
        if (news === undefined) break;
        await stream.send(news.map(toServerSentEvent));
      }
      stream.end();
    } finally {
      listener.close();
    }
  },
});

function toServerSentEvent(news: News): ServerSentEvent {
  if (news === 'change') return { event: 'change', data: {} };
  const { type, data, ...ids } = news;
  return { event: type, data: { ...data, ...ids } };
}
