import { createVault } from '../agents/secrets.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import type { HttpDeps } from '../http/deps.ts';
import type { Queue } from '../queue/queue.ts';
import { type AdoptionDeps, planAdoption, requestAdoption } from '../recovery/adopt-server.ts';
import { clientsOf } from './open-projects.ts';

interface Deps {
  connections: Connections;
  database: Database;
  queue: Queue;
}

/** What adopts servers that were made by hand; undefined where only the GitHub runners have the keys. */
export function openAdopting({ connections, database, queue }: Deps): HttpDeps['adoptions'] {
  const { missingKeys, hcloud, pulumi } = connections;
  if (missingKeys.length > 0) return undefined;
  const vault = createVault(pulumi.keyring);
  const deps: AdoptionDeps = { database, queue, vault, projects: clientsOf(hcloud.projects) };
  return {
    plan: (request) => planAdoption(deps, request),
    request: (request) => requestAdoption(deps, request),
  };
}
