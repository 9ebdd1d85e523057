import { createHash, createHmac, randomBytes } from 'node:crypto';
import type pg from 'pg';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { Secret } from '../secret.ts';

/** An attempt's own login to Pulumi's state. */
export interface Entry {
  backendUrl: Secret;
  /** Closes it. After a crash, the agent's next attempt closes it. */
  leave(): Promise<void>;
}

/**
 * Pulumi's lock has no owner check, so a paused process of an earlier attempt could write after it resumes. A
 * fence gives every attempt its own login. Before an agent's next attempt begins, the earlier logins are
 * dropped and their sessions terminated, so they can write nothing after that.
 */
export interface Fence {
  /** Whether each attempt has its own login. */
  readonly isHard: boolean;
  /**
   * Ends the sessions of the agent's earlier attempts, then creates this one's login. Default password:
   * random.
   */
  enter(attempt: AttemptOfAgent & { password?: string | undefined }): Promise<Entry>;
  /** Ends the sessions of one attempt on any stack. */
  evict(attempt: { operationId: string; attempt: number }): Promise<void>;
}

export interface AttemptOfAgent {
  agentId: string;
  operationId: string;
  attempt: number;
}

/**
 * For backends other than Postgres, and for logins that cannot create roles: only lease and lock protect the
 * state.
 */
export function noFence(backendUrl: Secret): Fence {
  return {
    isHard: false,
    enter: async () => ({ backendUrl, leave: async () => {} }),
    evict: async () => {},
  };
}

/**
 * Roles belong to the whole server; a hash of the database's name keeps installations apart that share one.
 */
function roleNames(backendUrl: Secret): { owner: string; prefix: string } {
  const hash = createHash('sha256').update(new URL(backendUrl.reveal()).pathname).digest('hex').slice(0, 4);
  return { owner: `agent-stacks-state-${hash}`, prefix: `a:${hash}:` };
}

/** Returns the name of an attempt's login. Only the database's name in the backend's address matters. */
export function attemptRole(backendUrl: Secret, { agentId, operationId, attempt }: AttemptOfAgent): string {
  // An agent's id has no `:`, so the name is unambiguous.
  return `${roleNames(backendUrl).prefix}${agentId}:${shortId(operationId)}:${attempt}`;
}

/**
 * Returns a login's password. Service and runner derive it from their common passphrase, so it is never sent.
 */
export function attemptPassword(passphrase: Secret, role: string): string {
  return createHmac('sha256', passphrase.reveal()).update(`agent-stacks state login ${role}`).digest('hex');
}

/** Returns the backend's address with an attempt's own login. */
export function asLogin(backendUrl: Secret, { role, password }: { role: string; password: string }): Secret {
  const url = new URL(backendUrl.reveal());
  url.username = encodeURIComponent(role);
  url.password = password;
  return new Secret(url.href);
}

/**
 * Prepares the hard fence in Pulumi's database: the state table belongs to a role of which the attempts'
 * logins are members. If the configured login may not do that, logs a warning and returns `noFence`.
 */
export async function createLoginFence({
  pool,
  backendUrl,
  log,
}: {
  pool: pg.Pool;
  backendUrl: Secret;
  log: Log;
}): Promise<Fence> {
  const { owner, prefix } = roleNames(backendUrl);
  try {
    await prepare(pool, owner);
  } catch (error) {
    log.warn(
      { event: 'fence.unavailable', error: errorMessage(error) },
      'no hard fence: the login of PULUMI_BACKEND_URL needs CREATEROLE and the state table; only leases and locks protect the state',
    );
    return noFence(backendUrl);
  }
  const evict = (matches: (role: string) => boolean) => evictRoles(pool, prefix, matches);
  return {
    isHard: true,
    enter: async ({ password = randomBytes(24).toString('hex'), ...attempt }) => {
      await evict((role) => role.startsWith(`${prefix}${attempt.agentId}:`));
      const role = attemptRole(backendUrl, attempt);
      await createLogin(pool, { role, password, owner });
      return {
        backendUrl: asLogin(backendUrl, { role, password }),
        leave: () => evict((name) => name === role),
      };
    },
    evict: ({ operationId, attempt }) =>
      evict((role) => role.endsWith(`:${shortId(operationId)}:${attempt}`)),
  };
}

/** Shortens the id: a login's name has at most 63 characters, of which an agent's id may take 40. */
const shortId = (operationId: string) => operationId.replaceAll('-', '').slice(0, 10);

/** Idempotent; concurrent workers wait for each other. */
async function prepare(pool: pg.Pool, owner: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock(hashtext($1))', [owner]);
    const known = await client.query('select 1 from pg_roles where rolname = $1', [owner]);
    if (known.rowCount === 0) await client.query(`create role "${owner}" nologin role current_user`);
    // The table as the CLI would create it at its first call.
    await client.query(`create table if not exists pulumi_state (
      key text primary key, data json not null, updated_at timestamp with time zone not null default now())`);
    await client.query(
      'create index if not exists pulumi_state_key_prefix_idx on pulumi_state (key text_pattern_ops)',
    );
    await client.query(`grant usage, create on schema public to "${owner}"`);
    await client.query(`alter table pulumi_state owner to "${owner}"`);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

async function createLogin(
  pool: pg.Pool,
  { role, password, owner }: { role: string; password: string; owner: string },
): Promise<void> {
  // Such statements take no parameters; the names and passwords contain nothing that needs quoting.
  await pool.query(`create role "${role}" login password '${password}' in role "${owner}" role current_user`);
}

/** Drops logins: prevents new sessions, terminates existing ones, drops the role. */
async function evictRoles(pool: pg.Pool, prefix: string, matches: (role: string) => boolean): Promise<void> {
  const found = await pool.query<{ rolname: string }>(
    'select rolname from pg_roles where starts_with(rolname, $1)',
    [prefix],
  );
  for (const { rolname } of found.rows.filter((row) => matches(row.rolname))) await evictRole(pool, rolname);
}

/** A leaving attempt and the next one may drop the same role concurrently: the second finds it gone. */
async function evictRole(pool: pg.Pool, role: string): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock(hashtext($1))', [role]);
    const found = await client.query('select 1 from pg_roles where rolname = $1', [role]);
    if (found.rowCount !== 0) {
      await client.query(`alter role "${role}" nologin`);
      await client.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1', [
        role,
      ]);
      await client.query(`drop role if exists "${role}"`);
    }
    await client.query('select pg_advisory_unlock(hashtext($1))', [role]);
    client.release();
  } catch (error) {
    // The lock is released with the session.
    client.release(true);
    throw error;
  }
}
