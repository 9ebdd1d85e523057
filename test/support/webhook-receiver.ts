import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** A message whose signature the reference library has verified. */
export interface ReceivedMessage {
  id: string;
  type: string;
  timestamp: string;
  data: Record<string, unknown>;
  headers: IncomingHttpHeaders;
}

/** A receiver of Standard Webhooks that behaves as told. */
export interface WebhookReceiver {
  url: string;
  /** What it accepted, in order. */
  received: ReceivedMessage[];
  /** The ids of all messages that came, accepted or not. */
  tried: string[];
  /** Decides the answer; default: 204. What it does not end stays open. */
  answer: (response: ServerResponse, message: ReceivedMessage) => void;
  close(): Promise<void>;
}

export async function openWebhookReceiver(secret: string): Promise<WebhookReceiver> {
  const accept: WebhookReceiver['answer'] = (response) => response.writeHead(204).end();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const headers = request.headers;
    const message = new Webhook(secret).verify(body, headers as Record<string, string>) as ReceivedMessage;
    const full = { ...message, id: String(headers['webhook-id']), headers };
    receiver.tried.push(full.id);
    response.once('finish', () => {
      if (response.statusCode < 300) receiver.received.push(full);
    });
    receiver.answer(response, full);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notices`,
    received: [],
    tried: [],
    answer: accept,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return receiver;
}
