import { z } from 'zod';
import type { TailscaleAccount } from '../config/accounts.ts';
import { RetryableError } from '../errors.ts';
import { parseAnswer, parseJson } from '../http-client/answer.ts';
import { exchange, type HttpAnswer } from '../http-client/exchange.ts';
import { HttpError, RefusedError } from '../http-client/request.ts';
import { createAuthorization } from './tailscale.ts';

/** A tailnet's policy file, as its owner wrote it, and the version that a change must name. */
export interface PolicyFile {
  text: string;
  etag: string;
}

/** A test of a policy: what its source must reach, and must not. */
export interface PolicyTest {
  src: string;
  accept?: string[] | undefined;
  deny?: string[] | undefined;
}

const refusal = z.object({
  message: z.string().optional(),
  data: z.array(z.object({ user: z.string().optional(), errors: z.array(z.string()).optional() })).nullish(),
});

/** Reads, checks and replaces the policy file of a tailnet. @see https://tailscale.com/api#tag/policyfile */
export interface PolicyClient {
  /** @throws RefusedError if the credential may not read it (scope `policy_file:read`) */
  read(): Promise<PolicyFile>;
  /** Runs tests against the policy in force. @returns what fails, one sentence each */
  test(tests: readonly PolicyTest[]): Promise<string[]>;
  /** Checks a whole policy with its own tests. @returns what is wrong with it */
  validate(text: string): Promise<string[]>;
  /**
   * Replaces the policy, unless it has changed since it was read.
   * @throws PolicyChangedError; HttpError if it is refused
   */
  replace(text: string, before: PolicyFile): Promise<void>;
}

/** Somebody has changed the policy since it was read. */
export class PolicyChangedError extends RetryableError {
  override name = 'PolicyChangedError';
}

const HUJSON = 'application/hujson';

export function createPolicyClient(account: TailscaleAccount): PolicyClient {
  const base = `${account.baseUrl}/api/v2`;
  const path = `${base}/tailnet/${encodeURIComponent(account.tailnet)}/acl`;
  const authorize = createAuthorization(account, base, undefined);
  const send = async (method: 'GET' | 'POST', url: string, body?: string, headers = {}) =>
    exchange({
      vendor: 'tailscale',
      method,
      url,
      body,
      headers: { authorization: await authorize(), accept: HUJSON, 'content-type': HUJSON, ...headers },
    });
  const validate = async (body: string) => {
    // Without this header Tailscale answers a validation in HuJSON too.
    const answer = await send('POST', `${path}/validate`, body, { accept: 'application/json' });
    if (answer.status === 400) return failuresIn(answer, path);
    return failuresIn(requireGood(answer, 'POST', path), path);
  };
  return {
    read: async () => {
      const answer = requireGood(await send('GET', path), 'GET', path);
      return { text: answer.text, etag: answer.headers.get('etag') ?? '' };
    },
    test: (tests) => validate(JSON.stringify(tests)),
    validate,
    replace: async (text, before) => {
      const answer = await send('POST', path, text, before.etag === '' ? {} : { 'if-match': before.etag });
      if (answer.status === 412)
        throw new PolicyChangedError(
          'The policy was changed meanwhile: read it again, and look at the difference',
        );
      requireGood(answer, 'POST', path);
    },
  };
}

/** A policy whose tests fail is answered 200 with a message, or with 400. */
function failuresIn(answer: HttpAnswer, url: string): string[] {
  if (answer.text.trim() === '') return [];
  const { host } = new URL(url);
  const { message, data } = parseAnswer(refusal, parseJson(answer.text, host), host);
  const details = (data ?? []).flatMap(({ user, errors }) =>
    (errors ?? []).map((error) => (user === undefined ? error : `${user}: ${error}`)),
  );
  return details.length > 0 || message === undefined ? details : [message];
}

function requireGood(answer: HttpAnswer, method: string, url: string): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const said = refusal.safeParse(tryJson(answer.text)).data;
  const details = (said?.data ?? []).flatMap(({ errors }) => errors ?? []).join('; ');
  const message = `${method} ${new URL(url).pathname}: ${answer.status} ${[said?.message, details].filter(Boolean).join(': ')}`;
  throw answer.status === 401 || answer.status === 403
    ? new RefusedError(answer.status, message)
    : new HttpError(answer.status, message);
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
