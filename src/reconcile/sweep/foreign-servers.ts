import { listForeignServers } from '../../agents/adoptions.ts';
import type { Database } from '../../database/connect.ts';
import type { CloudView } from './findings.ts';

/**
 * Takes servers that were made by hand, and never became an agent's, out of what a sweep compares: they are
 * their owners', also if an adoption that was cut short has left its labels on them. The adoption itself, its
 * rollback or the destroy of its agent takes those off.
 */
export async function setForeignServersAside(database: Database, cloud: CloudView): Promise<CloudView> {
  const serverIds = cloud.resources.flatMap(({ kind, id }) => (kind === 'server' ? [id] : []));
  const foreign = await listForeignServers(database, serverIds);
  const isForeign = ({ kind, id }: CloudView['resources'][number]) => kind === 'server' && foreign.has(id);
  return { ...cloud, resources: cloud.resources.filter((one) => !isForeign(one)) };
}
