import { runToEnd } from './commands.ts';

/** A server as Hetzner's official Python client reports it. */
export interface ClientServer {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  location: string;
  ipv4: string | null;
}

const CLIENT = `
import json, os
from hcloud import Client
client = Client(token=os.environ["HCLOUD_TOKEN"], api_endpoint=os.environ["HCLOUD_ENDPOINT"])
`;
const SERVERS = `${CLIENT}
print(json.dumps([
    {"id": s.id, "name": s.name, "status": s.status, "labels": s.labels, "location": s.location.name,
     "ipv4": s.public_net.ipv4.ip if s.public_net.ipv4 else None}
    for s in client.servers.get_all(label_selector=os.environ["SELECTOR"])
]))
`;

const SNAPSHOTS = `${CLIENT}
print(json.dumps([
    {"id": i.id, "description": i.description, "status": i.status, "labels": i.labels}
    for i in client.images.get_all(type=["snapshot"], label_selector=os.environ["SELECTOR"])
]))
`;

/** A snapshot as that client reports it. */
export interface ClientSnapshot {
  id: number;
  description: string;
  status: string;
  labels: Record<string, string>;
}

/** The Python with the client, set up by `npm test`; undefined if it could not be installed. */
export const hetznerPython = process.env.AGENT_STACKS_HETZNER_PYTHON || undefined;

interface Account {
  hcloudToken: string;
  hcloudEndpoint: string;
}

/** Lists the project's servers with these labels, with Hetzner's official client. */
export const listWithOfficialClient = (account: Account, selector: string): Promise<ClientServer[]> =>
  runClient(SERVERS, account, selector);

/** Lists the project's snapshots with these labels, with Hetzner's official client. */
export const listSnapshotsWithOfficialClient = (
  account: Account,
  selector: string,
): Promise<ClientSnapshot[]> => runClient(SNAPSHOTS, account, selector);

async function runClient<T>(script: string, account: Account, selector: string): Promise<T[]> {
  if (hetznerPython === undefined) throw new Error('npm test has not set up the client');
  const { code, stdout, stderr } = await runToEnd(hetznerPython, ['-c', script], {
    cwd: '/',
    env: {
      PATH: process.env.PATH,
      HCLOUD_TOKEN: account.hcloudToken,
      HCLOUD_ENDPOINT: account.hcloudEndpoint,
      SELECTOR: selector,
    },
  });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}
