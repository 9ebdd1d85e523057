import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { getHoldings } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { type Agent, createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { findInstallationProcesses } from '../support/installation-processes.ts';

const REASON = 'The licence of this agent is not known';

let site: Site;
let installation: Installation;
let fleet: Fleet;
let variables: NodeJS.ProcessEnv;
/** A file for each agent that is refused: the operator's own role refuses it while the file exists. */
const refusalOf = (agentId: string) => join(site.dataDir, 'role', `refused-${agentId}`);

describeWithMachines('a configuration that fails', () => {
  beforeAll(async () => {
    site = await makeSite({ SANDBOX_MACHINES: 'real' });
    const role = join(site.dataDir, 'role');
    mkdirSync(join(role, 'tasks'), { recursive: true });
    const tasks = [
      {
        name: 'Ask for the licence',
        'ansible.builtin.fail': { msg: REASON },
        when: `lookup('ansible.builtin.fileglob', '${role}/refused-' ~ agent_id) | length > 0`,
      },
      {
        name: 'Install the agent',
        'ansible.builtin.copy': { dest: '/usr/local/lib/assistant.py', mode: '0644', content: ASSISTANT },
        notify: 'Restart the agent',
      },
    ];
    writeFileSync(join(role, 'tasks', 'main.yml'), JSON.stringify(tasks));
    variables = { AGENT_ROLE: role, AGENT_COMMAND: '/usr/bin/python3 -I /usr/local/lib/assistant.py' };
    writeFileSync(join(site.dataDir, 'settings'), 'GREETING=good day\n', { mode: 0o600 });
    for (const agentId of ['mended', 'hopeless']) writeFileSync(refusalOf(agentId), '');
    installation = await startInstallation(site, {
      variables: { ...variables, AGENT_ENVIRONMENT_FILE: join(site.dataDir, 'settings') },
    });
    fleet = createFleet(installation);
    for (const agentId of ['mended', 'hopeless']) await fleet.buy(agentId);
  }, 180_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
  }, 90_000);

  it('midway: the operation names the task and the reason, and its next try converges', async () => {
    await eventually('a try has failed', async () => (await fleet.operation('mended')).retryCount === 1, {
      withinSeconds: 150,
    });
    const { status, error, failedStep } = await fleet.operation('mended');
    expect({ status: status === 'active' ? 'queued' : status, failedStep }).toEqual({
      status: 'queued',
      failedStep: 'configuring',
    });
    expect(error).toMatch(/task ".*Ask for the licence": failed/);
    expect(error).toContain(REASON);
    const [serverId] = await fleet.serversOf('mended');
    rmSync(refusalOf('mended'));
    const ended = await fleet.finished('mended', 150);
    expect(ended, ended.error ?? '').toMatchObject({ status: 'succeeded' });
    const agent = await fleet.agent('mended');
    // The running agent is kept.
    expect(agent).toMatchObject({ status: 'running', health: 'healthy', serverId });
    expect(await fleet.health(agent.tailnetIp)).toContain('mended says good day');
  }, 330_000);

  it('for good: after the last try nothing billed remains', async () => {
    await eventually('it has failed', async () => (await fleet.agent('hopeless')).status === 'failed', {
      withinSeconds: 240,
    });
    expect((await fleet.agent('hopeless')).error).toContain(REASON);
    await eventually(
      'it is rolled back',
      async () => (await fleet.operation('hopeless')).status === 'succeeded',
      {
        withinSeconds: 60,
      },
    );
    expect(await fleet.operation('hopeless')).toMatchObject({ kind: 'rollback' });
    expect(await getHoldings(installation.connection, 'hopeless')).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
  }, 330_000);

  it('because the machine hangs: it is aborted without leftovers, and the next try converges', async () => {
    const { serverId } = await fleet.agent('mended');
    const screen = fleet.screen(serverId);
    await fleet.request('mended', 'reconfigure');
    const { operationId } = await fleet.operation('mended');
    await eventually(
      'the first task is done',
      async () => /^progress: /m.test(await fleet.configureLog('mended')),
      {
        withinSeconds: 60,
      },
    );
    screen.freeze();
    try {
      await eventually('the try has failed', async () => (await fleet.operation('mended')).retryCount > 0, {
        withinSeconds: 150,
      });
    } finally {
      screen.thaw();
    }
    const { error } = await fleet.operation('mended');
    expect(error).toContain('the server cannot be reached');
    const left = findInstallationProcesses(site.dataDir).filter(({ command }) =>
      command.includes(operationId),
    );
    expect(left).toEqual([]);
    const ended = await fleet.finished('mended', 150);
    expect(ended, ended.error ?? '').toMatchObject({ kind: 'reconfigure', status: 'succeeded' });
    expect(await fleet.agent('mended')).toMatchObject({ serverId, status: 'running' });
  }, 420_000);

  it('changing one input reconfigures without replacing the server, also after a full restart', async () => {
    const before: Agent = await fleet.agent('mended');
    await installation.stop();
    writeFileSync(join(site.dataDir, 'settings'), 'GREETING=good evening\n', { mode: 0o600 });
    installation = await startInstallation(site, {
      variables: { ...variables, AGENT_ENVIRONMENT_FILE: join(site.dataDir, 'settings') },
    });
    fleet = createFleet(installation);
    await eventually(
      'the machine has booted again, and answers',
      async () => (await fleet.health(before.tailnetIp)).includes('mended says good day'),
      { withinSeconds: 60 },
    );
    await fleet.succeed('mended', 'reconfigure');
    const { serverId, tailnetIp, tailnetName } = before;
    expect(await fleet.agent('mended')).toMatchObject({
      status: 'running',
      serverId,
      tailnetIp,
      tailnetName,
    });
    expect(await fleet.health(tailnetIp)).toContain('mended says good evening');
  }, 240_000);
});

const ASSISTANT = `import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.environ['AGENT_ID']} says {os.environ['GREETING']}".encode())
address = (os.environ["AGENT_HOST"], int(os.environ["AGENT_HEALTH_PORT"]))
http.server.HTTPServer(address, Handler).serve_forever()
`;
