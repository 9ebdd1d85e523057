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

const SCRIPT = `
import json, os
from hcloud import Client
client = Client(token=os.environ["HCLOUD_TOKEN"], api_endpoint=os.environ["HCLOUD_ENDPOINT"])
print(json.dumps([
    {"id": s.id, "name": s.name, "status": s.status, "labels": s.labels, "location": s.location.name,
     "ipv4": s.public_net.ipv4.ip if s.public_net.ipv4 else None}
    for s in client.servers.get_all(label_selector=os.environ["SELECTOR"])
]))
`;

/** The Python with the client, set up by `npm test`; undefined if it could not be installed. */
export const hetznerPython = process.env.AGENT_STACKS_HETZNER_PYTHON || undefined;

/** Lists the project's servers with these labels, with Hetzner's official client. */
export async function listWithOfficialClient(
  account: { hcloudToken: string; hcloudEndpoint: string },
  selector: string,
): Promise<ClientServer[]> {
  if (hetznerPython === undefined) throw new Error('npm test has not set up the client');
  const { code, stdout, stderr } = await runToEnd(hetznerPython, ['-c', SCRIPT], {
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
