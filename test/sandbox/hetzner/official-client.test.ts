import { expect, test } from 'vitest';
import { runToEnd } from '../../support/commands.ts';
import { hetznerPython } from '../../support/hetzner-client.ts';
import { hcloudToken, startCloud } from '../../support/sandbox-hetzner.ts';

const SCRIPT = `
import json, os
from hcloud import APIException, Client
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

client = Client(token=os.environ["HCLOUD_TOKEN"], api_endpoint=os.environ["HCLOUD_ENDPOINT"], poll_interval=0.05)
said = {}

def order(name, image):
    made = client.servers.create(name=name, server_type=ServerType("cx23"), image=image, location=Location("nbg1"))
    for action in [made.action, *made.next_actions]:
        action.wait_until_finished()
    return client.servers.get_by_id(made.server.id)

server = order("origin", Image(name="debian-12"))
made = server.create_image(description="first", type="snapshot", labels={"of": "origin"})
made.action.wait_until_finished()
snapshot = client.images.get_by_id(made.image.id)
said["snapshot"] = [snapshot.type, snapshot.status, snapshot.created_from.id == server.id, snapshot.labels]
said["updated"] = snapshot.update(description="second").description
said["listed"] = [image.description for image in client.images.get_all(type=["snapshot"], label_selector="of=origin")]
snapshot.change_protection(delete=True).wait_until_finished()
try:
    snapshot.delete()
except APIException as error:
    said["protected"] = error.code
snapshot.change_protection(delete=False).wait_until_finished()
copy = order("copy", Image(id=snapshot.id))
said["copy"] = copy.image.id == snapshot.id
server.rebuild(image=Image(id=snapshot.id)).action.wait_until_finished()
said["rebuilt"] = client.servers.get_by_id(server.id).image.id == snapshot.id
said["deleted"] = snapshot.delete()

ip = server.public_net.ipv4.ip
server.change_dns_ptr(ip, "agent.example.com").wait_until_finished()
said["name"] = client.servers.get_by_id(server.id).public_net.ipv4.dns_ptr
address = client.primary_ips.get_by_id(server.public_net.primary_ipv4.id)
address.change_dns_ptr(ip, "other.example.com").wait_until_finished()
said["other"] = client.primary_ips.get_by_id(address.id).dns_ptr[0]["dns_ptr"]

families = [client.volumes, client.networks, client.load_balancers, client.floating_ips, client.placement_groups,
            client.certificates, client.isos, client.load_balancer_types, client.zones]
said["families"] = [len(family.get_all()) for family in families]
try:
    client.volumes.create(size=10, name="v", location=Location("nbg1"))
except APIException as error:
    said["refused"] = error.code
print(json.dumps(said))
`;

test.skipIf(hetznerPython === undefined)(
  'Hetzner’s own client creates, uses and deletes snapshots, sets reverse DNS, and finds the rest empty',
  { timeout: 60_000 },
  async () => {
    const cloud = await startCloud();
    const { code, stdout, stderr } = await runToEnd(hetznerPython!, ['-c', SCRIPT], {
      cwd: '/',
      env: { PATH: process.env.PATH, HCLOUD_TOKEN: hcloudToken, HCLOUD_ENDPOINT: `${cloud.url}/hetzner/v1` },
    });
    expect([code, stderr]).toEqual([0, expect.not.stringContaining('Traceback')]);
    expect(JSON.parse(stdout)).toEqual({
      snapshot: ['snapshot', 'available', true, { of: 'origin' }],
      updated: 'second',
      listed: ['second'],
      protected: 'protected',
      copy: true,
      rebuilt: true,
      deleted: true,
      name: 'agent.example.com',
      other: 'other.example.com',
      families: Array(9).fill(0),
      refused: 'not_found',
    });
  },
);
