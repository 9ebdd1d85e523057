import type { AgentStep } from '../../agents/states.ts';
import type { BuyerPage, BuyerTexts } from '../../http/deps.ts';

/** What the page says unless the operator has sentences of their own. */
const TEXTS: Record<keyof BuyerTexts, string> = {
  requested: 'Your agent is next in line.',
  provisioning: 'Your agent is being set up.',
  running: 'Your agent is running.',
  stopping: 'Your agent is being stopped.',
  stopped: 'Your agent is stopped. Everything on it is kept.',
  suspended: 'Your agent is switched off. Everything on it is kept.',
  failed:
    'Something went wrong on our side. You need not do anything and will not pay twice: we have been told and are looking into it.',
  destroying: 'Your agent is being removed.',
  destroyed: 'Your agent has been removed.',
  queued: 'Your order has arrived',
  creating_server: 'A server of your own is made',
  joining_network: 'It joins a private network',
  configuring: 'Your agent is installed on it',
  verifying: 'We check that it answers',
  slow: 'It takes longer than usual. You need not do anything: it goes on by itself, and this page stays up to date.',
};

export function buyerText({ texts }: BuyerPage, key: keyof BuyerTexts): string {
  return texts[key] ?? TEXTS[key];
}

/** The steps that a buyer sees, in order; after the last one the agent runs. */
export const BUYER_STEPS = [
  'queued',
  'creating_server',
  'joining_network',
  'configuring',
  'verifying',
] as const satisfies readonly AgentStep[];

/** Formats a day: `30 November 2026`. */
export function day(iso: string): string {
  return new Date(iso).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
}

/** Formats a length of time as people say it: `40 seconds`, `2 minutes`. */
export function roughly(seconds: number): string {
  if (seconds < 1.5) return 'a second';
  if (seconds < 90) return `${Math.ceil(seconds < 20 ? seconds : Math.ceil(seconds / 5) * 5)} seconds`;
  return `${Math.ceil(seconds / 60)} minutes`;
}
