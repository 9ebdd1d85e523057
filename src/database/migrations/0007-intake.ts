import { type Kysely, sql } from 'kysely';

/**
 * Checks that values from clouds, machines, runners and Stripe have the form that their column requires,
 * whatever program writes them. Existing rows are repaired first: a row that violates a check could not be
 * updated at all, not even to destroy its agent.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...MEND, ...CHECKS]) await sql.raw(statement).execute(db);
}

const OCTET = '(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])';
const IPV4 = `'^${OCTET}(\\.${OCTET}){3}$'`;
/** Checks only the characters. The schemas in the code decide whether they form an address. */
const IPV6 = `'^[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,41}$'`;
const HOST_NAME = `'^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$'`;
const SERVER_ID = `'^[0-9]{1,19}$'`;
const GENERATION = `coalesce(jsonb_typeof(inputs->'keyGeneration') = 'number'
  and inputs->>'keyGeneration' ~ '^[1-9][0-9]{0,8}$', true)`;
const ADDRESS = (column: string) => `(${column} ~ ${IPV4} or ${column} ~ ${IPV6})`;
const NAME = (column: string) => `(${column} ~ ${HOST_NAME} and length(${column}) <= 253)`;
/** States in which an agent must have a server and an address. */
const HAS_SERVER = `status in ('running', 'stopping', 'stopped')`;

const WRONG: Record<string, string> = {
  server_id: `server_id !~ ${SERVER_ID}`,
  server_name: `not ${NAME('server_name')}`,
  ipv4: `ipv4 !~ ${IPV4}`,
  ipv6: `ipv6 !~ ${IPV6}`,
  tailnet_ip: `not ${ADDRESS('tailnet_ip')}`,
  tailnet_name: `not ${NAME('tailnet_name')}`,
};

/**
 * Replacements for columns that a running agent must have: an id that no server has and an address that leads
 * nowhere, both unique to the agent.
 */
const STAND_IN: Record<string, string> = {
  server_id: `'0' || (hashtextextended(agent_id, 0) & 72057594037927935)::text`,
  tailnet_ip: `'2001:db8::' || to_hex(hashtextextended(agent_id, 0) & 65535) || ':' || to_hex(hashtextextended(agent_id, 1) & 65535)`,
};

const MEND = [
  `alter table agents add column rollback_error text`,
  // An earlier refresh wrote an empty text for a missing address.
  `update agents set ipv4 = nullif(ipv4, ''), ipv6 = nullif(ipv6, '') where ipv4 = '' or ipv6 = ''`,
  ...Object.entries(WRONG).flatMap(([column, wrong]) => [
    `insert into audit_log (actor, action, agent_id, details)
       select 'service', 'agent.mended', agent_id, jsonb_build_object('column', '${column}', 'was', left(${column}, 200))
       from agents where ${wrong}`,
    `update agents set health = case when ${HAS_SERVER} then 'unhealthy' else health end,
       error = case when ${HAS_SERVER} then 'What was recorded as ${column} cannot be one: refresh this agent' else error end,
       ${column} = ${STAND_IN[column] === undefined ? 'null' : `case when ${HAS_SERVER} then ${STAND_IN[column]} end`}
       where ${wrong}`,
  ]),
  // The lowest generation, so that the sweep takes no key of this agent for a leftover one.
  `update agents set inputs = jsonb_set(inputs, '{keyGeneration}', '1') where not ${GENERATION}`,
  `update agents set error = left(error, 8000) where length(error) > 8000`,
  `update operations set error = left(error, 8000), failed_step = left(failed_step, 200), step = left(step, 200)
     where length(error) > 8000 or length(failed_step) > 200 or length(step) > 200`,
  `update operations set workflow_run_id = null where workflow_run_id !~ '^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$'`,
  `delete from run_cancellations where workflow_run_id !~ '^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$'`,
  `update stripe_events set reason = left(reason, 4000) where length(reason) > 4000`,
  `update orders set attention = left(attention, 4000) where length(attention) > 4000`,
];

const CHECKS = [
  ...Object.entries(WRONG).map(
    ([column, wrong]) => `alter table agents add constraint agents_${column}_form check (not (${wrong}))`,
  ),
  `alter table agents
     add constraint agents_key_generation check (${GENERATION}),
     add constraint agents_error_length check (length(error) <= 8000 and length(rollback_error) <= 8000),
     add constraint agents_subscription_length check (length(subscription_id) between 1 and 255)`,
  `alter table operations
     add constraint operations_workflow_run_form check (workflow_run_id ~ '^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$'),
     add constraint operations_error_length check (length(error) <= 8000),
     add constraint operations_step_length check (length(step) <= 200 and length(failed_step) <= 200)`,
  `alter table run_cancellations
     add constraint run_cancellations_run_form check (workflow_run_id ~ '^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$')`,
  `alter table stripe_events
     add constraint stripe_events_lengths check (length(type) between 1 and 255 and length(object_id) between 1 and 255
       and length(reason) <= 4000)`,
  `alter table orders
     add constraint orders_lengths check (length(session_id) between 1 and 255 and length(subscription_id) between 1 and 255
       and length(customer_id) between 1 and 255 and length(attention) <= 4000)`,
  `alter table foundations
     add constraint foundations_firewall_form check (firewall_id ~ '^[0-9]{1,19}$'),
     add constraint foundations_project_form check (project ~ '^[a-z0-9](-?[a-z0-9])*$' and length(project) <= 40)`,
];
