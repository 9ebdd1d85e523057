import { createHash } from 'node:crypto';
import express from 'express';
import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import { randomText } from '../random-text.ts';
import type { SandboxTokens } from '../tokens.ts';
import { type Grant, grantSchema } from './schema.ts';

/** Returns what an issued credential may do; undefined for any other text. */
export async function findGrant<Vendor extends Grant['vendor']>(
  database: SandboxDatabase,
  vendor: Vendor,
  secret: string,
): Promise<Extract<Grant, { vendor: Vendor }> | undefined> {
  const row = await database
    .selectFrom('issued_credentials')
    .select('grants')
    .where('secret_hash', '=', hash(secret))
    .executeTakeFirst();
  return row?.grants.vendor === vendor ? (row.grants as Extract<Grant, { vendor: Vendor }>) : undefined;
}

/** Creates `POST /credentials`, which issues one; mount it under `/sandbox`. */
export function createCredentialsRouter(database: SandboxDatabase, tokens: SandboxTokens): express.Router {
  const router = express.Router();
  router.post('/credentials', express.json({ limit: '16kb' }), async (request, response) => {
    const grant = grantSchema.safeParse(request.body);
    if (!grant.success) {
      const detail = z.prettifyError(grant.error);
      response.status(400).json({ type: 'about:blank', title: 'Invalid credential', status: 400, detail });
      return;
    }
    const { secret, answer } = issue(grant.data, tokens);
    await database
      .insertInto('issued_credentials')
      .values({ secret_hash: hash(secret), grants: JSON.stringify(grant.data) })
      .execute();
    response.status(201).json(answer);
  });
  return router;
}

/** `secret` identifies it: an OAuth client is known by id and secret together. */
function issue(grant: Grant, tokens: SandboxTokens): { secret: string; answer: Record<string, string> } {
  if (grant.vendor === 'hetzner') {
    const token = randomText(64);
    return { secret: token, answer: { token } };
  }
  if (grant.vendor === 'stripe') {
    // All keys of an account begin alike.
    const key = `rk_test_${tokens.stripeSecretKey.replace(/^sk_test_/, '').slice(0, 16)}${randomText(32)}`;
    return { secret: key, answer: { key } };
  }
  const clientId = `k${randomText(16)}`;
  const clientSecret = `tskey-client-${clientId}-${randomText(32)}`;
  return { secret: `${clientId} ${clientSecret}`, answer: { clientId, clientSecret } };
}

const hash = (text: string) => createHash('sha256').update(text).digest();
