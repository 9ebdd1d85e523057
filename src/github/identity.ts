import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { requestAs } from '../http-client/request.ts';
import { WORKFLOW_FILE } from './github.ts';

/** Whose identity tokens are accepted. @see https://docs.github.com/en/actions/concepts/security/openid-connect */
export interface IdentityRules extends CallLimits {
  issuer: string;
  audience: string;
  owner: string;
  repo: string;
  /** The repository's number, which a new one of the same name does not have. */
  repositoryId?: string | undefined;
}

/** Says why a token proves nothing; undefined where it proves that a run of the workflow sent it. @throws where the issuer's keys are out of reach */
export type IdentityCheck = (token: string, runId: string | undefined) => Promise<string | undefined>;

const header = z.object({ alg: z.literal('RS256'), kid: z.string() });
const claims = z.object({
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]),
  exp: z.number(),
  nbf: z.number().default(0),
  repository: z.string(),
  repository_id: z.string(),
  workflow_ref: z.string(),
  run_id: z.string(),
});
type Claims = z.infer<typeof claims>;

const CLOCK_SKEW_SECONDS = 60;
const KEYS_KEPT_MS = 10 * 60_000;

/** Checks GitHub's OIDC tokens: signature under the issuer's published keys, then audience, time, repository, workflow and run. */
export function createIdentityCheck(rules: IdentityRules): IdentityCheck {
  const keyOf = createKeyring(rules);
  return async (token, runId) => {
    const parts = readToken(token);
    if (parts === undefined) return 'is no token signed with RS256';
    const key = await keyOf(parts.kid);
    if (key === undefined) return 'is signed with a key that the issuer does not publish';
    if (!verify('RSA-SHA256', Buffer.from(parts.signed), key, parts.signature))
      return 'is not signed by the issuer';
    return refusalOf(parts.claims, rules, runId);
  };
}

function readToken(token: string) {
  const [head, body, signature, ...rest] = token.split('.');
  if (!head || !body || !signature || rest.length > 0 || token.length > 10_000) return undefined;
  const parsedHead = header.safeParse(parseJson(head));
  const parsedClaims = claims.safeParse(parseJson(body));
  if (!parsedHead.success || !parsedClaims.success) return undefined;
  return {
    kid: parsedHead.data.kid,
    claims: parsedClaims.data,
    signed: `${head}.${body}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

function parseJson(base64url: string): unknown {
  try {
    return JSON.parse(Buffer.from(base64url, 'base64url').toString());
  } catch {
    return undefined;
  }
}

function refusalOf(found: Claims, rules: IdentityRules, runId: string | undefined): string | undefined {
  const now = Date.now() / 1000;
  const repository = `${rules.owner}/${rules.repo}`;
  const workflow = `${repository}/.github/workflows/${WORKFLOW_FILE}@`;
  const isFor = Array.isArray(found.aud) ? found.aud.includes(rules.audience) : found.aud === rules.audience;
  if (found.iss !== rules.issuer) return 'is of another issuer';
  if (!isFor) return 'is for another audience';
  if (found.exp < now - CLOCK_SKEW_SECONDS) return 'has expired';
  if (found.nbf > now + CLOCK_SKEW_SECONDS) return 'is not valid yet';
  if (!sameName(found.repository, repository)) return 'is of another repository';
  if (rules.repositoryId !== undefined && found.repository_id !== rules.repositoryId)
    return 'is of another repository of that name';
  if (!sameName(found.workflow_ref.slice(0, workflow.length), workflow)) return 'is of another workflow';
  return runId === found.run_id ? undefined : 'is of another workflow run';
}

/** GitHub's names of owners and repositories do not tell upper from lower case. */
const sameName = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();

const discovery = z.object({ jwks_uri: z.url() });
const keySet = z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) });

/** The issuer's keys, asked for again when they are old, or one is missing. */
function createKeyring({
  issuer,
  timeoutSeconds,
}: Pick<IdentityRules, 'issuer' | 'timeoutSeconds'>): (kid: string) => Promise<KeyObject | undefined> {
  let keys = new Map<string, KeyObject>();
  let fetchedAt = 0;
  const fetchKeys = async () => {
    const get = <T>(schema: z.ZodType<T>, url: string) =>
      requestAs(schema, { method: 'GET', url, headers: {}, timeoutSeconds });
    const { jwks_uri: url } = await get(discovery, `${issuer}/.well-known/openid-configuration`);
    const set = await get(keySet, url);
    const usable = set.keys.filter(({ kty }) => kty === 'RSA');
    keys = new Map(
      usable.map((key) => [key.kid, createPublicKey({ key: key as JsonWebKey, format: 'jwk' })]),
    );
    fetchedAt = Date.now();
  };
  return async (kid) => {
    const age = Date.now() - fetchedAt;
    // A key that is new since the last look is looked for, but not for every token that names one.
    if (age > KEYS_KEPT_MS || (!keys.has(kid) && age > 10_000)) {
      try {
        await fetchKeys();
      } catch (error) {
        if (keys.has(kid)) return keys.get(kid);
        throw new RetryableError('The issuer’s keys cannot be had now', { cause: error });
      }
    }
    return keys.get(kid);
  };
}
