import { type Exchange, exchange } from '../http.ts';
import type { Properties } from '../values.ts';

export class TailscaleError extends Error {
  override readonly name = 'TailscaleError';
  /** HTTP status of the answer. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

type Credentials = { apiKey: string } | { clientId: string; clientSecret: string; scopes: string[] };

export interface TailscaleSettings {
  baseUrl: string;
  tailnet: string;
  credentials: Credentials;
}

export interface TailscaleClient {
  /** `path` is relative to `/api/v2`. @returns the answer's JSON. @throws TailscaleError */
  request(
    method: string,
    path: string,
    body: Properties | undefined,
    signal: AbortSignal,
  ): Promise<Properties>;
  /** The path of the tailnet's own resources: `/tailnet/<name>`. */
  tailnetPath: string;
}

/** Reads the settings as the official provider does. */
export function tailscaleSettings(
  environment: Readonly<Record<string, string>>,
  config: Properties,
): TailscaleSettings {
  const setting = (name: string, variable: string): string => {
    const given = config[name];
    return (typeof given === 'string' && given) || environment[variable] || '';
  };
  const apiKey = setting('apiKey', 'TAILSCALE_API_KEY');
  const clientId = setting('oauthClientId', 'TAILSCALE_OAUTH_CLIENT_ID');
  const clientSecret = setting('oauthClientSecret', 'TAILSCALE_OAUTH_CLIENT_SECRET');
  if (apiKey && (clientId || clientSecret)) {
    throw new Error('tailscale provider credentials are conflicting: api_key and oauth_client_id');
  }
  if (!apiKey && !(clientId && clientSecret)) {
    throw new Error(
      'tailscale provider credentials are empty: set TAILSCALE_API_KEY, or an OAuth client id and secret',
    );
  }
  return {
    baseUrl: (setting('baseUrl', 'TAILSCALE_BASE_URL') || 'https://api.tailscale.com').replace(/\/$/, ''),
    tailnet: setting('tailnet', 'TAILSCALE_TAILNET') || '-',
    credentials: apiKey ? { apiKey } : { clientId, clientSecret, scopes: toScopes(config.scopes) },
  };
}

function toScopes(value: unknown): string[] {
  const scopes: unknown = typeof value === 'string' && value.startsWith('[') ? JSON.parse(value) : value;
  return Array.isArray(scopes) ? scopes.map(String) : [];
}

export function createTailscaleClient(settings: TailscaleSettings): TailscaleClient {
  const { baseUrl, credentials } = settings;
  let bearer: { token: string; expiresAt: number } | undefined;

  const authorization = async (signal: AbortSignal): Promise<string> => {
    if ('apiKey' in credentials) return `Basic ${Buffer.from(`${credentials.apiKey}:`).toString('base64')}`;
    if (!bearer || bearer.expiresAt < Date.now()) {
      bearer = await fetchToken(baseUrl, credentials, signal);
    }
    return `Bearer ${bearer.token}`;
  };

  return {
    tailnetPath: `/tailnet/${encodeURIComponent(settings.tailnet)}`,
    async request(method, path, body, signal) {
      const headers = { authorization: await authorization(signal), accept: 'application/json' };
      return readAnswer(await exchange(method, `${baseUrl}/api/v2${path}`, { headers, json: body }, signal));
    },
  };
}

async function fetchToken(
  baseUrl: string,
  credentials: { clientId: string; clientSecret: string; scopes: string[] },
  signal: AbortSignal,
): Promise<{ token: string; expiresAt: number }> {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: credentials.clientId,
    client_secret: credentials.clientSecret,
  });
  if (credentials.scopes.length > 0) form.set('scope', credentials.scopes.join(' '));
  const json = readAnswer(
    await exchange('POST', `${baseUrl}/api/v2/oauth/token`, { headers: {}, form }, signal),
  );
  const lifetimeSeconds = Number(json.expires_in ?? 3600);
  // A minute early, so that no token expires in transit.
  return {
    token: String(json.access_token),
    expiresAt: Date.now() + Math.max(0, lifetimeSeconds - 60) * 1000,
  };
}

/**
 * Returns the answer as an object.
 * @throws TailscaleError in the official client's format, `message (status)`
 */
function readAnswer({ ok, status, json }: Exchange): Properties {
  if (ok) return json ?? {};
  const message = json?.message ?? json?.error ?? 'unexpected answer';
  throw new TailscaleError(`${message} (${status})`, status);
}
