import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Configuration, IDToken, UserInfoResponse } from 'openid-client';
import type { OidcConfig } from '../../config/sign-in.ts';
import { ROLES, type Role } from '../../database/vocabulary.ts';
import type { Claimed } from '../../people/claimed-person.ts';
import { loginSchema } from '../../people/names.ts';
import type { Secret } from '../../secret.ts';

/** Why somebody whom the provider has recognised cannot sign in; the text is shown to them. */
export class ClaimsError extends Error {
  override name = 'ClaimsError';
}

/** Sign-in by an OpenID provider: the authorization code flow, with PKCE, state and nonce. */
export interface Oidc {
  /** @param attempt a fresh secret of this browser's (`newAttempt`) */
  authorizationUrl(attempt: string): Promise<URL>;
  /**
   * Redeems the provider's answer.
   * @param query of the callback's address, with the question mark
   * @throws ClaimsError, or what openid-client throws where the answer is not right
   */
  redeem(attempt: string, query: string): Promise<Claimed>;
}

const TIMEOUT_SECONDS = 10;
/** Providers move their endpoints and keys rarely. */
const CACHED_MS = 3_600_000;

/** What one sign-in's state, nonce and verifier are derived from; it stays in the browser's cookie. */
export const newAttempt = () => randomBytes(32).toString('base64url');

/**
 * Nothing is stored: state, nonce and PKCE's verifier are derived from the secret in the browser's cookie, so
 * any API process redeems what another began, and only in that browser.
 */
export function createOidc(
  config: OidcConfig,
  { apiToken, redirectUri }: { apiToken: Secret; redirectUri: string },
): Oidc {
  const key = Buffer.from(hkdfSync('sha256', apiToken.reveal(), '', 'agent-stacks openid sign-in', 32));
  const derive = (attempt: string, purpose: string) =>
    createHmac('sha256', key).update(`${purpose} ${attempt}`).digest('base64url');
  const discover = cached(() => discoverProvider(config));
  return {
    authorizationUrl: async (attempt) => {
      const client = await import('openid-client');
      return client.buildAuthorizationUrl(await discover(), {
        redirect_uri: redirectUri,
        scope: config.scopes,
        state: derive(attempt, 'state'),
        nonce: derive(attempt, 'nonce'),
        code_challenge: await client.calculatePKCECodeChallenge(derive(attempt, 'verifier')),
        code_challenge_method: 'S256',
      });
    },
    redeem: async (attempt, query) => {
      const client = await import('openid-client');
      const provider = await discover();
      const tokens = await client.authorizationCodeGrant(provider, new URL(redirectUri + query), {
        expectedState: derive(attempt, 'state'),
        expectedNonce: derive(attempt, 'nonce'),
        pkceCodeVerifier: derive(attempt, 'verifier'),
        idTokenExpected: true,
      });
      const idToken = tokens.claims()!;
      const more = hasAll(config, idToken)
        ? undefined
        : await client.fetchUserInfo(provider, tokens.access_token, idToken.sub);
      return toClaimed(config, idToken, more);
    },
  };
}

async function discoverProvider({ issuer, clientId, clientSecret }: OidcConfig): Promise<Configuration> {
  const client = await import('openid-client');
  const isPlain = new URL(issuer).protocol === 'http:';
  const options = {
    timeout: TIMEOUT_SECONDS,
    // The signature of the ID token is verified too, not only the connection it came by.
    execute: [client.enableNonRepudiationChecks, ...(isPlain ? [client.allowInsecureRequests] : [])],
  };
  return client.discovery(
    new URL(issuer),
    clientId,
    undefined,
    client.ClientSecretBasic(clientSecret.reveal()),
    options,
  );
}

/** A failure is not kept: the next sign-in asks again. */
function cached<T>(read: () => Promise<T>): () => Promise<T> {
  let known: { value: Promise<T>; until: number } | undefined;
  return () => {
    if (known !== undefined && known.until > Date.now()) return known.value;
    const value = read();
    known = { value, until: Date.now() + CACHED_MS };
    value.catch(() => {
      known = undefined;
    });
    return value;
  };
}

type Claims = Record<string, unknown>;

const hasAll = ({ loginClaim, roleClaim }: OidcConfig, claims: Claims) =>
  claims[loginClaim] !== undefined && (roleClaim === undefined || readClaim(claims, roleClaim) !== undefined);

function toClaimed(config: OidcConfig, idToken: IDToken, more: UserInfoResponse | undefined): Claimed {
  // What the signed token says counts before what the provider answers besides.
  const claims: Claims = { ...more, ...idToken };
  return {
    issuer: idToken.iss,
    subject: idToken.sub,
    login: readLogin(config, claims),
    role: readRole(config, claims),
  };
}

function readLogin({ loginClaim }: OidcConfig, claims: Claims): string {
  if (loginClaim === 'email' && claims.email_verified !== true)
    throw new ClaimsError('The OpenID provider has not verified your mail address');
  const login = loginSchema.safeParse(claims[loginClaim]);
  if (!login.success)
    throw new ClaimsError(`The claim ${loginClaim} of the OpenID provider cannot be a login here`);
  return login.data;
}

/** The highest role of those that the claim's values stand for. */
function readRole({ roleClaim, roles }: OidcConfig, claims: Claims): Role | undefined {
  if (roleClaim === undefined) return undefined;
  const value = readClaim(claims, roleClaim);
  const values = Array.isArray(value) ? value : [value];
  const found = values.flatMap((one) => (typeof one === 'string' ? (roles.get(one) ?? []) : []));
  const role = ROLES.findLast((one) => found.includes(one));
  if (role === undefined)
    throw new ClaimsError(`The claim ${roleClaim} of the OpenID provider gives you no role here`);
  return role;
}

/** `realm_access.roles` is also the claim `roles` inside of `realm_access`. */
function readClaim(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split('.').reduce<unknown>((value, part) => {
    const isObject = typeof value === 'object' && value !== null;
    return isObject && Object.hasOwn(value, part) ? (value as Claims)[part] : undefined;
  }, claims);
}
