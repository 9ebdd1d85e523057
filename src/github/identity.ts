import { createLocalJWKSet, decodeProtectedHeader, errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { requestAs } from '../http-client/request.ts';
import { WORKFLOW_FILE } from './github.ts';

/**
 * Which identity tokens are accepted.
 * @see https://docs.github.com/en/actions/concepts/security/openid-connect
 */
export interface IdentityRules extends CallLimits {
  issuer: string;
  audience: string;
  owner: string;
  repo: string;
  /** The repository's numeric id, which a new repository of the same name does not have. */
  repositoryId?: string | undefined;
}

/**
 * Checks that a run of the workflow sent the token.
 * @returns why the token is rejected; undefined if it is accepted
 * @throws RetryableError if the issuer's keys cannot be fetched or used
 */
export type IdentityCheck = (token: string, runId: string | undefined) => Promise<string | undefined>;

/** The only algorithm that GitHub uses. No other is accepted, even if a token or a key names it. */
const ALGORITHM = 'RS256';
const CLOCK_SKEW_SECONDS = 60;
/** GitHub's tokens have about 2,000 characters. */
const MAX_TOKEN_LENGTH = 10_000;
const KEYS_KEPT_MS = 10 * 60_000;
/** An unknown key id triggers a fetch, since the key may be new, but at most once in this time. */
const MISSING_KEY_PAUSE_MS = 10_000;

const NOT_A_TOKEN = 'is not a token signed with RS256';
const UNKNOWN_KEY = 'is signed with a key that the issuer does not publish';
const KEYS_UNAVAILABLE = 'The issuer’s keys are not available now';

const compactForm = z
  .string()
  .max(MAX_TOKEN_LENGTH)
  .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/);
const header = z.object({ alg: z.literal(ALGORITHM), kid: z.string() });
const claims = z.object({
  repository: z.string(),
  repository_id: z.string(),
  workflow_ref: z.string(),
  run_id: z.string(),
});
type Claims = z.infer<typeof claims>;

/** Checks GitHub's OIDC tokens: first signature, audience and time, then repository, workflow and run. */
export function createIdentityCheck(rules: IdentityRules): IdentityCheck {
  const findKey = createKeyring(rules);
  const { issuer, audience } = rules;
  const expected = {
    ...{ issuer, audience, algorithms: [ALGORITHM], requiredClaims: ['exp'] },
    clockTolerance: CLOCK_SKEW_SECONDS,
  };
  return async (token, runId) => {
    // Before fetching any key, so that garbage from strangers costs no call.
    if (!isCandidate(token)) return NOT_A_TOKEN;
    try {
      const { payload } = await jwtVerify(token, findKey, expected);
      const found = claims.safeParse(payload);
      return found.success ? findMismatch(found.data, rules, runId) : NOT_A_TOKEN;
    } catch (error) {
      if (error instanceof RetryableError) throw error;
      if (error instanceof errors.JOSEError) return toRefusal(error);
      // The issuer's key is unusable, e.g. too short. That says nothing about the token.
      throw new RetryableError(KEYS_UNAVAILABLE, { cause: error });
    }
  };
}

/** Whether the text looks like a token whose signature is worth checking. */
function isCandidate(token: string): boolean {
  if (!compactForm.safeParse(token).success) return false;
  try {
    return header.safeParse(decodeProtectedHeader(token)).success;
  } catch {
    return false;
  }
}

const CLAIM_REFUSALS: Record<string, string> = {
  iss: 'comes from another issuer',
  aud: 'is for another audience',
  exp: 'has expired',
  nbf: 'is not valid yet',
};

function toRefusal(error: errors.JOSEError): string {
  if (error instanceof errors.JWKSNoMatchingKey) return UNKNOWN_KEY;
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'is not signed by the issuer';
  if (error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed)
    return (error.reason === 'check_failed' && CLAIM_REFUSALS[error.claim]) || NOT_A_TOKEN;
  return NOT_A_TOKEN;
}

function findMismatch(found: Claims, rules: IdentityRules, runId: string | undefined): string | undefined {
  const repository = `${rules.owner}/${rules.repo}`;
  const workflow = `${repository}/.github/workflows/${WORKFLOW_FILE}@`;
  if (!sameName(found.repository, repository)) return 'belongs to another repository';
  if (rules.repositoryId !== undefined && found.repository_id !== rules.repositoryId)
    return 'belongs to another repository of that name';
  if (!sameName(found.workflow_ref.slice(0, workflow.length), workflow)) return 'belongs to another workflow';
  return runId === found.run_id ? undefined : 'belongs to another workflow run';
}

/** GitHub's names of owners and repositories are case-insensitive. */
const sameName = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();

const discovery = z.object({ jwks_uri: z.url() });
const keySet = z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) });

/**
 * Caches the issuer's keys and fetches them again when they are old or one is missing. jose's
 * `createRemoteJWKSet` would read an answer of any size, and could not use cached keys during an outage.
 */
function createKeyring(rules: IdentityRules): JWTVerifyGetKey {
  let keys = createLocalJWKSet({ keys: [] });
  let ids = new Set<string>();
  let fetchedAt = 0;
  const fetchKeys = async () => {
    const set = await fetchKeySet(rules);
    keys = createLocalJWKSet(set);
    ids = new Set(set.keys.map(({ kid }) => kid));
    fetchedAt = Date.now();
  };
  return async (head, token) => {
    const isKnown = ids.has(head.kid ?? '');
    const age = Date.now() - fetchedAt;
    if (age > KEYS_KEPT_MS || (!isKnown && age > MISSING_KEY_PAUSE_MS)) {
      try {
        await fetchKeys();
      } catch (error) {
        if (!isKnown) throw new RetryableError(KEYS_UNAVAILABLE, { cause: error });
      }
    }
    return keys(head, token).catch((error: unknown) => {
      if (error instanceof errors.JWKSNoMatchingKey) throw error;
      throw new RetryableError(KEYS_UNAVAILABLE, { cause: error });
    });
  };
}

async function fetchKeySet({ issuer, timeoutSeconds }: IdentityRules): Promise<z.infer<typeof keySet>> {
  const get = <T>(schema: z.ZodType<T>, url: string) =>
    requestAs(schema, { method: 'GET', url, headers: {}, timeoutSeconds });
  const { jwks_uri: url } = await get(discovery, `${issuer}/.well-known/openid-configuration`);
  return get(keySet, url);
}
