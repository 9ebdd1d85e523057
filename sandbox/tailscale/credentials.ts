import express, { type Request, type RequestHandler } from 'express';
import { findGrant } from '../credentials/issued.ts';
import type { TailscaleGrant } from '../credentials/schema.ts';
import type { SandboxDatabase } from '../database.ts';
import { randomText } from '../random-text.ts';
import { type SandboxTokens, sameSecret } from '../tokens.ts';
import { TailscaleError } from './errors.ts';
import { hashSecret, OAUTH_CLIENT_SCOPES, OAUTH_CLIENT_TAGS, SANDBOX_USER } from './identity.ts';

const ACCESS_TOKEN_SECONDS = 3600;

/** Who makes a request: the API key's user, or an OAuth client, which acts for the tailnet itself. */
export interface Caller {
  userId: string;
  loginName: string;
  /** The tags of an OAuth client; a user has none. */
  tags?: readonly string[];
  /** What an OAuth client may do; a user may do everything. */
  scopes?: readonly string[];
}

/** What an OAuth client has: the sandbox's own one, or one that was issued. */
type Client = Pick<TailscaleGrant, 'scopes' | 'tags'>;

const OWN_CLIENT: Client = { scopes: [...OAUTH_CLIENT_SCOPES], tags: [...OAUTH_CLIENT_TAGS] };

/**
 * Requires the API key or an access token, as a `Bearer` token or as the user of Basic authentication. Stores
 * the caller in `response.locals.caller`.
 */
export function requireCredential(database: SandboxDatabase, tokens: SandboxTokens): RequestHandler {
  return async (request, response, next) => {
    const credential = givenCredential(request);
    const caller = credential === undefined ? undefined : await findCaller(database, tokens, credential);
    if (caller === undefined) throw new TailscaleError(401, 'API token invalid');
    response.locals.caller = caller;
    next();
  };
}

/**
 * Creates `POST /oauth/token`: the client credentials grant, with id and secret in the form or in Basic
 * authentication.
 */
export function createOauthRoute(database: SandboxDatabase, tokens: SandboxTokens): express.Router {
  const router = express.Router();
  router.post('/oauth/token', express.urlencoded({ extended: false }), async (request, response) => {
    const form: Record<string, unknown> = request.body ?? {};
    const { user, password } = basicCredentials(request) ?? {
      user: String(form.client_id ?? ''),
      password: String(form.client_secret ?? ''),
    };
    const isOwn =
      sameSecret(user, tokens.tailscaleOauthClientId) &&
      sameSecret(password, tokens.tailscaleOauthClientSecret);
    const client = isOwn ? OWN_CLIENT : await findGrant(database, 'tailscale', `${user} ${password}`);
    if (client === undefined) throw new TailscaleError(401, 'API token invalid');
    if ((form.grant_type ?? 'client_credentials') !== 'client_credentials')
      throw new TailscaleError(400, 'unsupported grant type');
    response.json({
      access_token: await issueAccessToken(database, client),
      token_type: 'Bearer',
      expires_in: ACCESS_TOKEN_SECONDS,
      scope: typeof form.scope === 'string' && form.scope !== '' ? form.scope : client.scopes.join(' '),
    });
  });
  return router;
}

async function issueAccessToken(database: SandboxDatabase, { scopes, tags }: Client): Promise<string> {
  const accessToken = `tskey-api-${randomText(12)}CNTRL-${randomText(32)}`;
  await database.deleteFrom('tailscale_access_tokens').where('expires_at', '<', new Date()).execute();
  await database
    .insertInto('tailscale_access_tokens')
    .values({
      secret_hash: hashSecret(accessToken),
      expires_at: new Date(Date.now() + ACCESS_TOKEN_SECONDS * 1000),
      grants: JSON.stringify({ scopes, tags }),
    })
    .execute();
  return accessToken;
}

async function findCaller(
  database: SandboxDatabase,
  tokens: SandboxTokens,
  credential: string,
): Promise<Caller | undefined> {
  if (sameSecret(credential, tokens.tailscaleApiKey))
    return { userId: SANDBOX_USER.id, loginName: SANDBOX_USER.loginName };
  const token = await database
    .selectFrom('tailscale_access_tokens')
    .select('grants')
    .where('secret_hash', '=', hashSecret(credential))
    .where('expires_at', '>', new Date())
    .executeTakeFirst();
  return token && { userId: '', loginName: 'tagged-devices', ...(token.grants ?? OWN_CLIENT) };
}

function givenCredential(request: Request): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(request.get('authorization') ?? '');
  return bearer?.[1] ?? basicCredentials(request)?.user;
}

function basicCredentials(request: Request): { user: string; password: string } | undefined {
  const basic = /^Basic +(\S+)$/i.exec(request.get('authorization') ?? '');
  if (!basic) return undefined;
  const [user = '', ...password] = Buffer.from(basic[1]!, 'base64').toString('utf8').split(':');
  // OAuth 2 form-encodes both parts before joining them (RFC 6749, 2.3.1).
  return { user: decode(user), password: decode(password.join(':')) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
