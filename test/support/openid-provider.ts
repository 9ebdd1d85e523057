import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A real OpenID provider (npm's oidc-provider) on loopback, with its own login and consent pages. */
export interface OpenIdProvider {
  issuer: string;
  /** What it says of each account, by the account's id, which is the subject. */
  accounts: Map<string, Record<string, unknown>>;
  stop(): Promise<void>;
}

interface Provider {
  callback(): (request: unknown, response: unknown) => void;
}

export async function startOpenIdProvider(client: {
  id: string;
  secret: string;
  redirectUri: string;
}): Promise<OpenIdProvider> {
  const accounts: OpenIdProvider['accounts'] = new Map();
  let answer: ReturnType<Provider['callback']> = () => {};
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // It has no types of its own.
  const { Provider: Made } = (await import('oidc-provider' as string)) as {
    Provider: new (issuer: string, settings: object) => Provider;
  };
  const provider = new Made(issuer, {
    clients: [{ client_id: client.id, client_secret: client.secret, redirect_uris: [client.redirectUri] }],
    pkce: { required: () => true },
    scopes: ['openid', 'email', 'profile'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, ...accounts.get(id) }),
    }),
    cookies: { keys: ['for tests'] },
  });
  answer = provider.callback();
  return {
    issuer,
    accounts,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Keeps cookies as a browser does, for one site. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();

  header(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('cookie', this.header());
    const response = await fetch(url, { redirect: 'manual', ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      const at = pair.indexOf('=');
      const isGone = /expires=Thu, 01 Jan 1970/i.test(line);
      if (isGone) this.#cookies.delete(pair.slice(0, at));
      else this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }
}

/** Logs in and consents at the provider. @returns the address that it sends the browser back to */
export async function passProvider(authorization: string, account: string, back: string): Promise<string> {
  const jar = new CookieJar();
  let url = authorization;
  for (let steps = 0; steps < 12; steps += 1) {
    const response = await jar.fetch(url);
    const location = response.headers.get('location');
    if (location !== null) {
      url = new URL(location, url).href;
      if (url.startsWith(back)) return url;
      continue;
    }
    const page = await response.text();
    const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
    const action = /action="([^"]+)"/.exec(page)?.[1];
    if (prompt === undefined || action === undefined)
      throw new Error(`The provider answered: ${page.slice(0, 500)}`);
    const posted = await jar.fetch(new URL(action, url), {
      method: 'POST',
      body: new URLSearchParams({ prompt, login: account, password: 'any' }),
    });
    url = new URL(posted.headers.get('location')!, url).href;
  }
  throw new Error('The provider leads in circles');
}
