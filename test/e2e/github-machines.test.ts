import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { getHoldings } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { act, noAct } from '../support/sandbox-github.ts';
import { latestOperation, runLog, workflowRun } from '../support/workflow-runs.ts';

const REASON = 'There is no licence for this agent';
const agentId = `real-${randomUUID().slice(0, 8)}`;
const failingId = `unreal-${randomUUID().slice(0, 8)}`;
const nothing = { servers: [], sshKeys: [], tailnetKeys: [], devices: [] };

let site: Site | undefined;
let installation: Installation;
let fleet: Fleet;

if (act === undefined) it('workflow runs on real machines', ({ skip }) => skip(noAct));
else describeWithMachines('workflow runs that configure real machines', tests);

function tests(): void {
  beforeAll(async () => {
    site = await makeSite({ EXECUTOR: 'github-actions', SANDBOX_MACHINES: 'real' });
    const role = writeRole(join(site.dataDir, 'role'));
    // The agents' software reaches the runner through repository variables.
    const variables = { AGENT_ROLE: role, AGENT_COMMAND: '/usr/bin/python3 -I /usr/local/lib/assistant.py' };
    installation = await startInstallation(site, { variables });
    fleet = createFleet(installation);
    for (const id of [agentId, failingId]) await fleet.buy(id);
    // Another try would take another minute, and fail like the first.
    await installation.query('update operations set max_retries = 1 where agent_id = $1', [failingId]);
  }, 180_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
  }, 90_000);

  it('end in a running agent, reached over the tailnet', async () => {
    const { serverId } = await installation.untilAgent(agentId, 'running', 360);
    const operation = await latestOperation(installation, agentId);
    expect(operation).toMatchObject({ executor: 'github-actions', kind: 'provision', status: 'succeeded' });
    const { workflowRunId } = operation;
    await eventually(
      'its run has ended',
      async () => (await workflowRun(installation, workflowRunId)).conclusion === 'success',
      { withinSeconds: 60 },
    );
    expect(runLog(installation, workflowRunId)).toMatch(
      /heartbeat: 0\n[\s\S]*Heartbeat stopped\n[\s\S]*orphan processes: none\n$/,
    );
    const screen = fleet.screen(serverId);
    expect(await screen.say('systemctl is-active agent.service')).toBe('active');
    expect(await screen.say('hostname')).toMatch(/^srv-[0-9a-f]{20}$/);
  }, 400_000);

  it('end with error and step and nothing billed, if the configuration fails for good', async () => {
    await installation.untilAgent(failingId, 'failed', 400);
    const [job] = await installation.query('select * from provisioning_jobs where agent_id = $1', [
      failingId,
    ]);
    expect(job).toMatchObject({ status: 'failed', failed_step: 'configuring', retry_count: 1 });
    expect(job.error).toContain(REASON);
    expect(await fleet.finished(failingId, 180)).toMatchObject({ kind: 'rollback', status: 'succeeded' });
    expect(await getHoldings(installation.connection, failingId)).toEqual(nothing);
  }, 600_000);

  it('delete a machine again', async () => {
    await fleet.succeed(agentId, 'destroy', 240);
    expect(await getHoldings(installation.connection, agentId)).toEqual(nothing);
  }, 260_000);

  it('leave no node on the tailnet', async () => {
    const places = async () => (await fleet.devices()).filter(({ tags }) => tags?.includes('tag:controller'));
    let left: unknown;
    const isAlone = async () => {
      left = await places();
      return (await places()).length <= 1;
    };
    await eventually('only the service’s own is left', isAlone, {
      // The control server notices a killed runner after a minute or two, and removes it after another.
      withinSeconds: 240,
      describe: () => JSON.stringify(left),
    });
  }, 280_000);
}

/** Writes an operator's role that refuses one kind of agent. @returns its folder */
function writeRole(role: string): string {
  mkdirSync(join(role, 'tasks'), { recursive: true });
  const tasks = [
    {
      name: 'Ask for the licence',
      'ansible.builtin.fail': { msg: REASON },
      when: "agent_id is match('unreal-')",
    },
    {
      name: 'Install the agent',
      'ansible.builtin.copy': { dest: '/usr/local/lib/assistant.py', mode: '0644', content: ASSISTANT },
      notify: 'Restart the agent',
    },
  ];
  writeFileSync(join(role, 'tasks', 'main.yml'), JSON.stringify(tasks));
  return role;
}

const ASSISTANT = `import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
address = (os.environ["AGENT_HOST"], int(os.environ["AGENT_HEALTH_PORT"]))
http.server.HTTPServer(address, Handler).serve_forever()
`;
