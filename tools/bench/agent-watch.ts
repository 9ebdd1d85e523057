import pg from 'pg';
import { EVENTS_CHANNEL } from '../../src/operations/events/events.ts';

/** An agent's state, read from its rows. */
export interface AgentView {
  status: string;
  error: string | null;
  /** Operations that are queued or active. */
  unfinished: number;
}

export interface AgentWatch {
  /**
   * Resolves once the agent's committed rows satisfy `done`. @throws Error if the agent fails or the time
   * runs out
   */
  until(agentId: string, done: (agent: AgentView) => boolean): Promise<void>;
  rows<T extends object>(statement: string, values?: unknown[]): Promise<T[]>;
  close(): Promise<void>;
}

interface Waiter {
  agentId: string;
  done: (agent: AgentView) => boolean;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Polls in addition to listening, in case a notification precedes its waiter. */
const LOOK_MS = 250;
const LIMIT_SECONDS = 300;

/**
 * Follows committed changes of agents: the service notifies of every step, and each notification triggers a
 * read.
 */
export async function openAgentWatch(databaseUrl: string): Promise<AgentWatch> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2, application_name: 'bench' });
  const listener = new pg.Client({ connectionString: databaseUrl, application_name: 'bench listener' });
  pool.on('error', () => {});
  listener.on('error', () => {});
  const waiters = new Set<Waiter>();
  const look = createLook(pool, waiters);
  await listener.connect();
  await listener.query(`listen ${EVENTS_CHANNEL}`);
  listener.on('notification', look);
  const timer = setInterval(look, LOOK_MS);
  return {
    until: (agentId, done) =>
      new Promise<void>((resolve, reject) => {
        const limit = setTimeout(
          () =>
            waiter.reject(
              new Error(`Agent ${agentId} did not reach the expected state within ${LIMIT_SECONDS} s`),
            ),
          LIMIT_SECONDS * 1000,
        );
        const settle = (how: () => void) => {
          clearTimeout(limit);
          waiters.delete(waiter);
          how();
        };
        const waiter: Waiter = {
          agentId,
          done,
          resolve: () => settle(resolve),
          reject: (error) => settle(() => reject(error)),
        };
        waiters.add(waiter);
      }),
    rows: async <T extends object>(statement: string, values: unknown[] = []) =>
      (await pool.query<T>(statement, values)).rows,
    close: async () => {
      clearInterval(timer);
      await listener.end();
      await pool.end();
    },
  };
}

/** Runs one read at a time for all waiters; a request during a read triggers another one after it. */
function createLook(pool: pg.Pool, waiters: Set<Waiter>): () => void {
  let looking = false;
  let again = false;
  const look = async () => {
    if (waiters.size === 0) return;
    const { rows } = await pool.query<AgentView & { agent_id: string }>(
      `select agent_id, status, error,
         (select count(*)::int from operations o where o.agent_id = a.agent_id and o.status in ('queued', 'active')) as unfinished
       from agents a where agent_id = any($1)`,
      [[...waiters].map(({ agentId }) => agentId)],
    );
    const agents = new Map(rows.map((row) => [row.agent_id, row]));
    for (const waiter of waiters) {
      const agent = agents.get(waiter.agentId);
      if (agent === undefined) continue;
      if (waiter.done(agent)) waiter.resolve();
      else if (agent.status === 'failed')
        waiter.reject(new Error(`Agent ${waiter.agentId} has failed: ${agent.error}`));
    }
  };
  const turn = () => {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    look()
      .catch(() => {})
      .finally(() => {
        looking = false;
        if (again) {
          again = false;
          turn();
        }
      });
  };
  return turn;
}
