import { z } from 'zod';
import type { Secret } from '../secret.ts';
import type { EnvironmentReader } from './environment-reader.ts';
import { endpointUrl, oneLine } from './fields.ts';

/** The repository whose workflow executes operations, and the credentials shared with its runs. */
export interface GithubAccount {
  apiUrl: string;
  owner: string | undefined;
  repo: string | undefined;
  /** The branch whose workflow file runs. */
  ref: string;
  /** Without a token nothing can be dispatched; callbacks are still accepted. */
  token: Secret | undefined;
  /** Without a secret no callback is trusted. */
  callbackSecret: Secret | undefined;
  /**
   * A second proof that callbacks must carry: GitHub's OIDC token for this audience. Off without an audience.
   */
  oidc: { issuer: string; audience: string; repositoryId: string | undefined } | undefined;
}

const GITHUB_API = 'https://api.github.com';
const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com';
const name = z.string().regex(/^[\w.-]{1,100}$/, 'must be a name of letters, digits, hyphens and dots');
const ref = z.string().regex(/^[\w./-]{1,200}$/, 'must be the name of a branch or tag');
const callbackSecret = oneLine.min(16, 'must have at least 16 characters');

/**
 * Reads the account. If GitHub executes operations, everything but the token is required. A service without a
 * token starts, reports it, and keeps operations queued with the reason.
 */
export function readGithubAccount(
  reader: EnvironmentReader,
  { required }: { required: boolean },
): GithubAccount {
  const need = <T>(variable: string, schema: z.ZodType<T>, why: string) =>
    required ? reader.required(variable, schema, why) : reader.read(variable, schema);
  if (required) need('GITHUB_CALLBACK_SECRET', callbackSecret, 'it signs callbacks (openssl rand -hex 32)');
  return {
    apiUrl: reader.read('GITHUB_API_URL', endpointUrl) ?? GITHUB_API,
    owner: need('GITHUB_OWNER', name, 'the owner of the repository with the workflow'),
    repo: need('GITHUB_REPO', name, 'the repository with the workflow'),
    ref: reader.read('GITHUB_WORKFLOW_REF', ref) ?? 'main',
    token: reader.secret('GITHUB_PAT'),
    callbackSecret: reader.secret('GITHUB_CALLBACK_SECRET', required ? oneLine : callbackSecret),
    oidc: readOidc(reader),
  };
}

function readOidc(reader: EnvironmentReader): GithubAccount['oidc'] {
  const audience = reader.text('GITHUB_OIDC_AUDIENCE');
  if (audience === undefined) return undefined;
  return {
    audience,
    issuer: reader.read('GITHUB_OIDC_ISSUER', endpointUrl) ?? GITHUB_ISSUER,
    repositoryId: reader.read('GITHUB_REPOSITORY_ID', z.string().regex(/^\d+$/, 'must be a number')),
  };
}

/** Returns why nothing can be dispatched, or undefined if it can. */
export function missingForDispatch({ owner, repo, token }: GithubAccount): string | undefined {
  if (token === undefined) return 'GITHUB_PAT is missing: operations stay queued until a token is configured';
  if (owner === undefined || repo === undefined)
    return 'GITHUB_OWNER and GITHUB_REPO are missing: operations stay queued until they are configured';
  return undefined;
}
