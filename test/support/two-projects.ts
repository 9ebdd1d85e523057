import type { Database } from '../../src/database/connect.ts';
import { applyProjects } from '../../src/projects/projects.ts';

/** Two Hetzner projects, `default` and `other`, each with room for every agent, instead of what there was. */
export async function setTwoProjects(database: Database): Promise<void> {
  const everywhere = { locations: undefined, mostServers: undefined };
  await database.deleteFrom('hetzner_projects').execute();
  await applyProjects(database, [
    { name: 'default', ...everywhere },
    { name: 'other', ...everywhere },
  ]);
}
