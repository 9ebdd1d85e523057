import express, { type Request, type RequestHandler } from 'express';
import type pg from 'pg';
import { randomText } from '../random-text.ts';
import { type SandboxTokens, sameSecret } from '../tokens.ts';
import { TailscaleError } from './errors.ts';
import { hashOf, oauthClientTags, sandboxUser } from './identity.ts';

const accessTokenSeconds = 3600;

/** Whom a request speaks for: the API key's user, or an OAuth client, which is the tailnet itself. */
export type Caller = {
  userId: string;
  loginName: string;
  /** An OAuth client's own tags; a user has none. */
  tags?: readonly string[];
};

const tailnetItself: Caller = { userId: '', loginName: 'tagged-devices', tags: oauthClientTags };

/**
 * Lets in who shows the API key or an access token, as `Bearer`, or as the user of Basic authentication.
 * The caller is in `response.locals.caller` afterwards.
 */
export function requireCredential(pool: pg.Pool, tokens: SandboxTokens): RequestHandler {
  return async (request, response, next) => {
    const credential = givenCredential(request);
    const caller = credential === undefined ? undefined : await callerOf(pool, tokens, credential);
    if (caller === undefined) throw new TailscaleError(401, 'API token invalid');
    response.locals.caller = caller;
    next();
  };
}

/** `POST /oauth/token`: the client credentials grant, with the client's id and secret in the form or as Basic. */
export function createOauthRoute(pool: pg.Pool, tokens: SandboxTokens): express.Router {
  const router = express.Router();
  router.post('/oauth/token', express.urlencoded({ extended: false }), async (request, response) => {
    const form: Record<string, unknown> = request.body ?? {};
    const { user, password } = basicCredentials(request) ?? {
      user: String(form.client_id ?? ''),
      password: String(form.client_secret ?? ''),
    };
    const known =
      sameSecret(user, tokens.tailscaleOauthClientId) &&
      sameSecret(password, tokens.tailscaleOauthClientSecret);
    if (!known) throw new TailscaleError(401, 'API token invalid');
    if ((form.grant_type ?? 'client_credentials') !== 'client_credentials')
      throw new TailscaleError(400, 'unsupported grant type');
    response.json({
      access_token: await issueAccessToken(pool),
      token_type: 'Bearer',
      expires_in: accessTokenSeconds,
      scope: typeof form.scope === 'string' && form.scope !== '' ? form.scope : 'auth_keys devices:core',
    });
  });
  return router;
}

async function issueAccessToken(pool: pg.Pool): Promise<string> {
  const accessToken = `tskey-api-${randomText(12)}CNTRL-${randomText(32)}`;
  await pool.query('DELETE FROM tailscale_access_tokens WHERE expires_at < $1', [new Date()]);
  await pool.query('INSERT INTO tailscale_access_tokens (secret_hash, expires_at) VALUES ($1, $2)', [
    hashOf(accessToken),
    new Date(Date.now() + accessTokenSeconds * 1000),
  ]);
  return accessToken;
}

async function callerOf(
  pool: pg.Pool,
  tokens: SandboxTokens,
  credential: string,
): Promise<Caller | undefined> {
  if (sameSecret(credential, tokens.tailscaleApiKey))
    return { userId: sandboxUser.id, loginName: sandboxUser.loginName };
  const { rowCount } = await pool.query(
    'SELECT 1 FROM tailscale_access_tokens WHERE secret_hash = $1 AND expires_at > $2',
    [hashOf(credential), new Date()],
  );
  return rowCount === 1 ? tailnetItself : undefined;
}

function givenCredential(request: Request): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(request.get('authorization') ?? '');
  return bearer?.[1] ?? basicCredentials(request)?.user;
}

function basicCredentials(request: Request): { user: string; password: string } | undefined {
  const basic = /^Basic +(\S+)$/i.exec(request.get('authorization') ?? '');
  if (!basic) return undefined;
  const [user = '', ...password] = Buffer.from(basic[1]!, 'base64').toString('utf8').split(':');
  // OAuth 2 form-encodes both halves before they are joined (RFC 6749, 2.3.1).
  return { user: decode(user), password: decode(password.join(':')) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
