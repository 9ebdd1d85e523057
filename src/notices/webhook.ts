import { createHash } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import type { NoticeWebhooks } from '../config/notices.ts';
import { errorMessage } from '../errors.ts';
import { exchange, type HttpAnswer } from '../http-client/exchange.ts';
import { laterSeconds } from '../http-client/later.ts';
import type { Secret } from '../secret.ts';
import type { Notice, Receiver, SendResult } from './receiver.ts';

/** A receiver should store the message and answer; the specification suggests 15 to 30 seconds. */
const TIMEOUT_SECONDS = 15;
/** By the specification: the receiver wants nothing more. */
const GONE = 410;

/** Creates a receiver for each address. */
export function createWebhooks({ urls, secrets }: NoticeWebhooks): Receiver[] {
  return urls.map((url) => createWebhook(url, secrets));
}

/**
 * Posts notices by the Standard Webhooks specification, signed with every secret. Redirects are not followed:
 * the signature is for this receiver alone.
 * @see https://www.standardwebhooks.com
 */
function createWebhook(url: Secret, secrets: readonly Secret[]): Receiver {
  return {
    name: webhookName(url),
    addressFor: () => null,
    send: async (notice, _address, signal) => {
      const body = webhookBody(notice);
      const headers = webhookHeaders(notice.noticeId, body, secrets, new Date());
      const call = { method: 'POST', url: url.reveal(), headers, body, signal };
      try {
        return toResult(await exchange({ ...call, redirects: 0, timeoutSeconds: TIMEOUT_SECONDS }));
      } catch (error) {
        signal.throwIfAborted();
        return { delivered: false, answer: null, error: errorMessage(error) };
      }
    },
  };
}

/** Names a receiver by its host and a fingerprint: the rest of an address may contain a token. */
function webhookName(url: Secret): string {
  const fingerprint = createHash('sha256').update(url.reveal()).digest('hex').slice(0, 12);
  return `webhook:${new URL(url.reveal()).host.slice(0, 200)}:${fingerprint}`;
}

/** The same text at every attempt. */
function webhookBody({ type, agentId, at, data }: Notice): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data: { agentId, ...data } });
}

/** `at`: the time of the attempt. Receivers refuse an old one, so that nobody can replay a message. */
function webhookHeaders(
  id: string,
  body: string,
  secrets: readonly Secret[],
  at: Date,
): Record<string, string> {
  const signatures = secrets.map((secret) => new Webhook(secret.reveal()).sign(id, at, body));
  return {
    'content-type': 'application/json',
    'user-agent': 'agent-stacks',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': signatures.join(' '),
  };
}

/** Keeps the status alone: a receiver's body may hold anything. */
function toResult({ status, headers }: HttpAnswer): SendResult {
  if (status >= 200 && status <= 299) return { delivered: true, answer: status };
  return {
    delivered: false,
    answer: status,
    error: status >= 300 && status <= 399 ? `${status}, a redirect that is not followed` : `status ${status}`,
    isFinal: status === GONE,
    waitSeconds: laterSeconds({ status, headers, message: '' }),
  };
}
