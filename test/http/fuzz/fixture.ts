import type { Express } from 'express';
import { createApp } from '../../../src/app/api.ts';
import { createStatusLinks } from '../../../src/dashboard/buyer/status-links.ts';
import { takeDispatch } from '../../../src/executors/github-actions/dispatches.ts';
import { startRemoteService } from '../../support/github-callbacks.ts';
import type { TestService } from '../../support/http-service.ts';

export interface Route {
  method: string;
  /** With parameters as `:name`. */
  path: string;
}

/** The service under test. Requests name jobs and agents by number, so that a seed is repeatable. */
export interface FuzzFixture {
  service: TestService;
  routes: readonly Route[];
  /** The newest operations and, at the same indexes, their agents. */
  jobs: string[];
  agents: string[];
  /** Lets the next queued operation report, as the dispatcher does, and rereads jobs and agents. */
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
    routes: listRoutes(createApp(service.deps)),
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

/** The application's own routing table, so that every mounted route is tested. */
function listRoutes(app: Express): Route[] {
  const walk = (layers: readonly Layer[]): Route[] =>
    layers.flatMap(({ route, handle }) => {
      if (route === undefined) return walk(handle?.stack ?? []);
      const methods = Object.keys(route.methods);
      // Handlers of every method only refuse. Wrong methods are tried on every route anyway.
      if (methods.length > 2) return [];
      return [route.path]
        .flat()
        .flatMap((path) => methods.map((name) => ({ method: name.toUpperCase(), path })));
    });
  // Express's types hide the layers of a router.
  return walk((app.router as unknown as { stack: Layer[] }).stack);
}
