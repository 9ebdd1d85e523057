import type { Express } from 'express';
import { createApp } from '../../../src/app/api.ts';
import { createStatusLinks } from '../../../src/dashboard/status-links.ts';
import { takeDispatch } from '../../../src/executors/github-actions/dispatches.ts';
import { startRemoteService } from '../../support/github-callbacks.ts';
import type { TestService } from '../../support/http-service.ts';

export interface Route {
  method: string;
  /** With parameters as `:name`. */
  path: string;
}

/** What the requests are sent to, and what is known of it: jobs and agents are named by number, so that a seed means the same again. */
export interface FuzzFixture {
  service: TestService;
  routes: readonly Route[];
  /** The newest operations and, at the same places, their agents. */
  jobs: string[];
  agents: string[];
  /** As the dispatcher does: the next queued operation may report. Then what there is now is learnt. */
  dispatch(): Promise<void>;
  buyersToken(agentId: string): string;
  close(): Promise<void>;
}

const KNOWN = 60;

export async function openFuzzFixture(): Promise<FuzzFixture> {
  const service = await startRemoteService();
  const links = createStatusLinks(service.deps);
  const [jobs, agents]: [string[], string[]] = [[], []];
  const learn = async () => {
    const rows = await service.database
      .selectFrom('operations')
      .select(['operation_id', 'agent_id'])
      .orderBy('sequence', 'desc')
      .limit(KNOWN)
      .execute();
    jobs.splice(0, KNOWN, ...rows.map((row) => row.operation_id));
    agents.splice(0, KNOWN, ...rows.map((row) => row.agent_id));
  };
  for (let made = 0; made < 5; made += 1)
    await service.ask('/api/agents', { json: { agentId: `f${made}`, userId: 'u', region: 'eu-central' } });
  return {
    service,
    routes: routesOf(createApp(service.deps)),
    jobs,
    agents,
    dispatch: async () => {
      await takeDispatch(service.deps, undefined);
      await learn();
    },
    buyersToken: (agentId) => new URL(links.statusUrl(agentId)).searchParams.get('token') ?? '',
    close: () => service.stop(),
  };
}

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

/** The application's own table: what is mounted is what is tried. */
function routesOf(app: Express): Route[] {
  const walk = (layers: readonly Layer[]): Route[] =>
    layers.flatMap(({ route, handle }) => {
      if (route === undefined) return walk(handle?.stack ?? []);
      const methods = Object.keys(route.methods);
      // What answers every method refuses it: other methods than the right one are tried on every route.
      if (methods.length > 2) return [];
      return [route.path]
        .flat()
        .flatMap((path) => methods.map((name) => ({ method: name.toUpperCase(), path })));
    });
  // Express's types hide the layers of a router.
  return walk((app.router as unknown as { stack: Layer[] }).stack);
}
