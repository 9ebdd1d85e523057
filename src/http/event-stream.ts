import { once } from 'node:events';
import type { Request, Response } from 'express';
import { z } from 'zod';

/** What goes over the wire as one server-sent event. */
export interface ServerSentEvent {
  event: string;
  /** From where a reconnecting client resumes. */
  id?: string | number;
  data: unknown;
}

/** A response that streams events, with a heartbeat in between. */
export interface EventStream {
  /** Aborted when the client has disconnected or the process stops. */
  readonly signal: AbortSignal;
  /** Waits while the client reads more slowly than events arrive. */
  send(events: readonly ServerSentEvent[]): Promise<void>;
  end(): void;
}

/** One event of a stream, as the document describes it. */
export const eventSchema = z
  .object({
    event: z.string(),
    id: z.string().optional().meta({ description: 'Where a reconnecting client resumes: `Last-Event-ID`' }),
    data: z.string().meta({ description: 'JSON' }),
  })
  .meta({ id: 'ServerSentEvent' });

const KEEP_ALIVE_MS = 15_000;
const RECONNECT_MS = 2_000;

export function openEventStream(
  request: Request,
  response: Response,
  stopping: AbortSignal | undefined,
): EventStream {
  const closed = new AbortController();
  const signal = stopping === undefined ? closed.signal : AbortSignal.any([closed.signal, stopping]);
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write(`retry: ${RECONNECT_MS}\n\n`);
  const keepAlive = setInterval(() => response.write(': still here\n\n'), KEEP_ALIVE_MS);
  const close = () => {
    clearInterval(keepAlive);
    closed.abort();
    if (!response.writableEnded) response.end();
  };
  request.socket.setNoDelay(true);
  response.once('close', close);
  // Already aborted or closed: a listener added now would never fire.
  if (stopping?.aborted || response.closed) close();
  stopping?.addEventListener('abort', close, { once: true, signal: closed.signal });
  return {
    signal,
    send: async (events) => {
      if (signal.aborted || events.length === 0) return;
      const roomLeft = response.write(events.map(format).join(''));
      if (!roomLeft) await once(response, 'drain', { signal }).catch(() => {});
    },
    end: close,
  };
}

function format({ event, id, data }: ServerSentEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * HEAD wants only the headers; a stream would keep it open. @returns whether the request was a HEAD and is
 * answered.
 */
export function answersHead(request: Request, response: Response): boolean {
  if (request.method !== 'HEAD') return false;
  response.type('text/event-stream').end();
  return true;
}
