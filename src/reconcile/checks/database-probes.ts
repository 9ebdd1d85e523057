import { databaseName } from '../../config/database-url.ts';
import type { Database } from '../../database/connect.ts';
import { databaseVersion, SCHEMA_VERSION } from '../../database/migrations.ts';
import { databaseExists, keepsSessions, readServerFacts } from '../../database/session-check.ts';
import { compareStamp, type Stamp } from '../../database/stamp.ts';
import { errorMessage } from '../../errors.ts';
import { hasKeys } from '../../keys/check-keys.ts';
import type { Keyring } from '../../keys/keyring.ts';
import type { Secret } from '../../secret.ts';
import { readWorkforce } from '../workforce.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const everything = () => true;
const OLDEST = 150_000;

/** Whether the server answers and is new enough. */
export function databaseProbe(url: Secret): Probe {
  return {
    name: 'database',
    blocks: everything,
    cure: '',
    look: async () => {
      const { version } = await readServerFacts(url).catch((error: unknown) => {
        throw new MisconfiguredError(
          `DATABASE_URL cannot be used: ${errorMessage(error)}`,
          'Check that Postgres is up, and name, login and password: psql "$DATABASE_URL" -c "select 1"',
        );
      });
      const words = `PostgreSQL ${Math.floor(version / 10_000)}`;
      if (version < OLDEST)
        throw new MisconfiguredError(`${words} is too old`, 'Use PostgreSQL 15 or newer.');
      return `${words} answers`;
    },
  };
}

/** Whether sessions last: LISTEN, advisory locks and the login fence need them. */
export function poolerProbe(url: Secret): Probe {
  return {
    name: 'pooler',
    blocks: everything,
    cure: 'Check that Postgres is up; it is checked again by the next doctor.',
    look: async () => {
      if (await keepsSessions(url)) return 'each connection has a session of its own';
      throw new MisconfiguredError(
        'DATABASE_URL goes through a pooler in transaction mode: notifications never arrive, and locks are lost',
        'Let DATABASE_URL name Postgres itself, or the pooler’s port in session mode (pgbouncer.ini: pool_mode = session).',
      );
    },
  };
}

interface Privileges {
  url: Secret;
  /** Where Pulumi's state is. */
  stateUrl: Secret;
}

/** Whether the login may make what the service makes: a login for each attempt, and Pulumi's database. */
export function privilegesProbe({ url, stateUrl }: Privileges): Probe {
  return {
    name: 'database-privileges',
    blocks: nothing,
    cure: 'Check that Postgres is up.',
    look: async () => {
      const { login, mayCreateRoles, mayCreateDatabases } = await readServerFacts(url);
      if (!mayCreateRoles)
        throw new MisconfiguredError(
          `The login ${login} has no CREATEROLE: attempts share one login, so a paused one could still write`,
          `psql -U postgres -c 'ALTER ROLE "${login}" CREATEROLE'`,
        );
      const state = databaseOnSameServer(url, stateUrl);
      if (state !== undefined && !mayCreateDatabases && !(await databaseExists(url, state)))
        throw new MisconfiguredError(
          `There is no database ${state} for Pulumi’s state, and the login ${login} may not create it`,
          `psql -U postgres -c 'CREATE DATABASE "${state}" OWNER "${login}"'`,
        );
      return `the login ${login} may create logins`;
    },
  };
}

function databaseOnSameServer(url: Secret, stateUrl: Secret): string | undefined {
  const state = stateUrl.reveal();
  if (!/^postgres(ql)?:/.test(state) || !URL.canParse(state)) return undefined;
  const [one, other] = [new URL(url.reveal()), new URL(state)];
  return one.host === other.host ? databaseName(other) : undefined;
}

/** A process of the service with all roles opens about this many, and each operation at work two more. */
const NEEDED_CONNECTIONS = 40;

export function connectionsProbe(url: Secret): Probe {
  return {
    name: 'connections',
    blocks: nothing,
    cure: 'Check that Postgres is up.',
    look: async () => {
      const { connectionsLeft, login } = await readServerFacts(url);
      const words = `${login} can open ${connectionsLeft} more connections`;
      if (connectionsLeft >= NEEDED_CONNECTIONS) return words;
      throw new MisconfiguredError(
        `${words}; a process of this service needs about ${NEEDED_CONNECTIONS}`,
        'Raise max_connections (psql -U postgres -c "ALTER SYSTEM SET max_connections = 200", then restart Postgres), or the login’s CONNECTION LIMIT.',
      );
    },
  };
}

/** Whether the name of Pulumi's database is what its backend understands. */
export function stateNameProbe(stateUrl: Secret): Probe {
  return {
    name: 'state-name',
    blocks: everything,
    cure: '',
    look: async () => {
      const url = stateUrl.reveal();
      if (!/^postgres(ql)?:/.test(url) || !URL.canParse(url)) return 'Pulumi’s state is in no database';
      const name = databaseName(new URL(url));
      if (!/[_%]/.test(name)) return `Pulumi’s state is in the database ${name}`;
      throw new MisconfiguredError(
        `The name of Pulumi’s database, ${name}, has a “_” or “%”: its backend would mix up stacks whose names are alike`,
        `Rename it (psql -c 'ALTER DATABASE "${name}" RENAME TO "${name.replace(/[_%]/g, '-')}"') and set PULUMI_BACKEND_URL accordingly; or leave that out.`,
      );
    },
  };
}

/** Whether the passphrase is the one that sealed what this database holds. */
export function passphraseProbe(database: Database, keyring: Keyring): Probe {
  return {
    name: 'passphrase',
    blocks: everything,
    cure: '',
    look: async () => {
      const version = await databaseVersion(database);
      if (version === undefined) return 'nothing is sealed yet';
      if (version !== SCHEMA_VERSION) return 'not checked: the next start migrates the database first';
      if (await hasKeys(database, keyring)) return 'it opens what this database holds';
      throw new MisconfiguredError(
        'The secrets in this database are sealed with another PULUMI_CONFIG_PASSPHRASE: the service does not start',
        'Set PULUMI_CONFIG_PASSPHRASE to the one that this installation was started with first, or use another DATABASE_URL.',
      );
    },
  };
}

/** Whether the database belongs to this mode and these accounts. */
export function accountsProbe(database: Database, readStamp: () => Promise<Stamp>): Probe {
  return {
    name: 'accounts',
    blocks: everything,
    cure: '',
    look: async () => {
      if ((await databaseVersion(database)) === undefined) return 'the database is new';
      const found = await database.selectFrom('installation').selectAll().executeTakeFirst();
      if (found === undefined) return 'the database is new';
      const problem = compareStamp(found, await readStamp());
      if (problem === undefined) return 'the database belongs to these accounts';
      throw new MisconfiguredError(
        problem,
        'Start with the accounts of this database, or with another DATABASE_URL.',
      );
    },
  };
}

const LATE_MINUTES = 5;

/** Whether what is queued is being worked on. */
export function queueProbe(database: Database): Probe {
  return {
    name: 'queue',
    blocks: nothing,
    cure: 'Check that Postgres is up.',
    look: async () => {
      if ((await databaseVersion(database)) === undefined) return 'nothing is queued yet';
      const { workers } = await readWorkforce(database);
      const late = await database
        .selectFrom('operations')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('status', '=', 'queued')
        .where('waits_for', 'is', null)
        .where('run_after', '<', new Date(Date.now() - LATE_MINUTES * 60_000))
        .executeTakeFirstOrThrow();
      const words = `${workers} ${workers === 1 ? 'worker runs' : 'workers run'}`;
      if (late.count === 0) return workers === 0 ? 'nothing waits, and no worker runs' : words;
      throw new MisconfiguredError(
        `${late.count} operations have waited for more than ${LATE_MINUTES} minutes, and ${words}`,
        workers === 0 ? 'npm start -- --role worker' : 'Start more workers: npm start -- --role worker',
      );
    },
  };
}
