import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import type { ControlServer } from './control-server.ts';
import { TailscaleError } from './errors.ts';
import { checkPolicy, parseTests } from './policy-check.ts';
import { type FailedTest, failedTests } from './policy-tests.ts';
import { parsePolicyText } from './policy-text.ts';

export interface Policy {
  text: string;
  etag: string;
}

/** Reads the policy file, or that of a new tailnet if none has been set. */
export async function readPolicy(
  database: SandboxDatabase,
  { initialPolicy }: ControlServer,
): Promise<Policy> {
  const stored = await database.selectFrom('tailscale_policy').select('text').executeTakeFirst();
  const text = stored?.text ?? initialPolicy;
  return { text, etag: `"${createHash('sha256').update(text).digest('hex')}"` };
}

/**
 * Replaces the policy file. With `ifMatch`, only if the current file has this ETag, or for `"ts-default"` is
 * still the initial one.
 * @throws TailscaleError 412 if `ifMatch` does not match, 400 if the policy is invalid or fails its own tests
 */
export async function writePolicy(
  database: SandboxDatabase,
  control: ControlServer,
  text: string,
  ifMatch: string | undefined,
): Promise<Policy> {
  const policy = checkPolicy(text);
  const failures = failedTests(policy, policy.tests);
  if (failures.length > 0) throw new TailscaleError(400, 'test(s) failed', failures);
  return database.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext('tailscale-policy'))`.execute(trx);
    const before = await readPolicy(trx, control);
    const expected =
      ifMatch === '"ts-default"' ? before.text === control.initialPolicy : ifMatch === before.etag;
    if (ifMatch !== undefined && !expected)
      throw new TailscaleError(412, 'precondition failed, invalid old hash');
    // After a crash before the commit, the next start enforces the stored policy again.
    await control.enforcePolicy(text);
    await trx
      .insertInto('tailscale_policy')
      .values({ only_row: true, text })
      .onConflict((conflict) => conflict.column('only_row').doUpdateSet({ text }))
      .execute();
    return readPolicy(trx, control);
  });
}

/**
 * Validates a policy file. A list of tests in its place runs against the current file. Changes nothing.
 * @returns the tests that fail.
 * @throws TailscaleError 400 if the text is not a valid policy file.
 */
export async function validatePolicy(
  database: SandboxDatabase,
  control: ControlServer,
  text: string,
): Promise<FailedTest[]> {
  const list = parseList(text);
  const policy = checkPolicy(list === undefined ? text : (await readPolicy(database, control)).text);
  return failedTests(policy, list === undefined ? policy.tests : parseTests(list));
}

/**
 * Makes a control server that has just started enforce the stored policy. Before a crash, it may have
 * accepted a new policy that was never stored.
 */
export async function enforceRecordedPolicy(
  database: SandboxDatabase,
  control: ControlServer,
): Promise<void> {
  await control.enforcePolicy((await readPolicy(database, control)).text);
}

function parseList(text: string): unknown[] | undefined {
  try {
    const body = parsePolicyText(text);
    return Array.isArray(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
