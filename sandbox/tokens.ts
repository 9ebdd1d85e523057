import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

const token = z.string().min(1);

/** The credentials that the sandbox's APIs accept. The launcher generates them once and keeps them. */
export const sandboxTokensSchema = z.object({
  hcloudToken: token,
  tailscaleApiKey: token,
  tailscaleOauthClientId: token,
  tailscaleOauthClientSecret: token,
  stripeSecretKey: token,
  stripeWebhookSecret: token,
  githubToken: token,
});

export type SandboxTokens = z.infer<typeof sandboxTokensSchema>;

/** Compares two secrets in constant time, regardless of their lengths. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
