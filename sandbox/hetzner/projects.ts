import { sql } from 'kysely';
import type { SandboxDatabase } from '../database.ts';

/** The project of the sandbox's own token. */
export const OWN_PROJECT = 'default';

/** The tables whose rows belong to a project each. */
const OWNED = [
  'hetzner_ssh_keys',
  'hetzner_firewalls',
  'hetzner_servers',
  'hetzner_actions',
  'hetzner_images',
] as const;

/**
 * Opens the database as one project sees it: a schema of views, which show its rows alone and give new ones
 * to it. So no query names the project, and none can forget it. What hangs on servers and firewalls is found
 * through them.
 * @param project letters, digits and hyphens
 */
export async function openProject(database: SandboxDatabase, project: string): Promise<SandboxDatabase> {
  const name = `hetzner-${project}`;
  const schema = sql.id(name);
  await database.transaction().execute(async (trx) => {
    // At each start: the tables may have more columns by then.
    await sql`drop schema if exists ${schema} cascade`.execute(trx);
    await sql`create schema ${schema}`.execute(trx);
    const create = (table: string, rows: ReturnType<typeof sql>) =>
      sql`create view ${schema}.${sql.id(table)} as select * from ${sql.id(table)} ${rows}`.execute(trx);
    for (const table of OWNED) {
      await create(table, sql`where project = ${sql.lit(project)}`);
      await sql`alter view ${schema}.${sql.id(table)} alter column project set default ${sql.lit(project)}`.execute(
        trx,
      );
    }
    const own = sql`(select id from hetzner_firewalls where project = ${sql.lit(project)})`;
    await create('hetzner_firewall_targets', sql`where firewall_id in ${own}`);
    for (const table of ['hetzner_primary_ips', 'due']) await create(table, sql``);
  });
  return database.withSchema(name);
}
