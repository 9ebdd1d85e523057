import { createHash } from 'node:crypto';
import type pg from 'pg';
import { inTransaction, poolBehind, type Queryable, type SandboxDatabase } from '../database.ts';
import type { ControlServer } from './control-server.ts';
import { TailscaleError } from './errors.ts';
import { checkPolicy, failuresOf, parseTests } from './policy-check.ts';
import type { FailedTest } from './policy-tests.ts';
import { policyJson } from './policy-text.ts';

export type Policy = { text: string; etag: string };

/** The policy file as somebody has set it, or the one that a new tailnet has. */
export async function readPolicy(db: Queryable, { initialPolicy }: ControlServer): Promise<Policy> {
  const { rows } = await db.query<{ text: string }>('SELECT text FROM tailscale_policy');
  const text = rows[0]?.text ?? initialPolicy;
  return { text, etag: `"${createHash('sha256').update(text).digest('hex')}"` };
}

/**
 * Replaces the policy file. With `ifMatch`, only if it is still the one that this ETag stands for, or, for
 * `"ts-default"`, one that nobody has changed yet; else 412.
 */
export async function writePolicy(
  pool: pg.Pool,
  control: ControlServer,
  text: string,
  ifMatch: string | undefined,
): Promise<Policy> {
  const failures = failuresOf(checkPolicy(text));
  if (failures.length > 0) throw new TailscaleError(400, 'test(s) failed', failures);
  return inTransaction(pool, async (client) => {
    await client.query("SELECT pg_advisory_xact_lock(hashtext('tailscale-policy'))");
    const before = await readPolicy(client, control);
    const expected =
      ifMatch === '"ts-default"' ? before.text === control.initialPolicy : ifMatch === before.etag;
    if (ifMatch !== undefined && !expected)
      throw new TailscaleError(412, 'precondition failed, invalid old hash');
    // A kill before the commit is mended at the next start, which enforces what is recorded.
    await control.enforcePolicy(text);
    await client.query(
      `INSERT INTO tailscale_policy (only_row, text) VALUES (true, $1)
       ON CONFLICT (only_row) DO UPDATE SET text = excluded.text`,
      [text],
    );
    return readPolicy(client, control);
  });
}

/**
 * Tries a policy file, or with a list in its place, these tests on the present one. Nothing changes.
 * @returns the tests that fail. @throws TailscaleError 400 where it is no policy file.
 */
export async function validatePolicy(
  db: Queryable,
  control: ControlServer,
  text: string,
): Promise<FailedTest[]> {
  const tests = listIn(text);
  if (tests === undefined) return failuresOf(checkPolicy(text));
  return failuresOf(checkPolicy((await readPolicy(db, control)).text), parseTests(tests));
}

/** Tells a control server that has just been started what holds: a kill may have come between its word and the record. */
export async function enforceRecordedPolicy(
  database: SandboxDatabase,
  control: ControlServer,
): Promise<void> {
  await control.enforcePolicy((await readPolicy(poolBehind(database), control)).text);
}

function listIn(text: string): unknown[] | undefined {
  try {
    const body = policyJson(text);
    return Array.isArray(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
