import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { renderAdmission, renderUndo } from '../../src/tailnet/admission/scripts.ts';
import { createOwnServer, type OwnServer } from './own-server.ts';

const JOIN_NAME = 'agent-unguessable';
const admission = renderAdmission({
  joinName: JOIN_NAME,
  tailnetKey: 'tskey-secret',
  loginServer: undefined,
  healthPort: 8080,
  hostPrivateKey: 'private',
  hostPublicKey: 'ssh-ed25519 public',
});
const BEFORE = 'var/lib/agent-adoption';

let server: OwnServer;
beforeEach(() => {
  server = createOwnServer();
});
afterEach(() => server.remove());
const admit = () => server.run(admission);
const undo = () => server.run(renderUndo());
const refused = (why: string) => ({ status: 3, why: `refused: ${why}` });
/** What the playbook does, as far as an undo has to know it. */
const configure = () => {
  server.write('etc/sysctl.d/60-agent.conf', '');
  server.write('proc/sys/net/ipv4/ip_forward', '0\n');
  server.write('proc/sys/net/ipv4/conf/eth0/forwarding', '0\n');
  for (const path of ['etc/systemd/system/agent.service', 'etc/sysusers.d/agent.conf', 'opt/agent/app/x'])
    server.write(path, 'ours');
  for (const path of ['etc/nftables.conf', 'etc/timezone', 'etc/locale.conf']) server.write(path, 'ours');
};

it('a server joins under its name, and leaves as it was', () => {
  const own = server.snapshot();
  expect(admit()).toMatchObject({ status: 0 });
  expect(server.tailnet()).toEqual({ state: 'Running', name: JOIN_NAME });
  configure();
  expect(admit()).toMatchObject({ status: 0 });
  expect(undo()).toMatchObject({ status: 0 });
  expect(server.tailnet().state).toBe('NeedsLogin');
  expect(server.calls()).toContain('userdel agent');
  expect(server.snapshot()).toEqual(own);
});

it('its own rules are not loaded again, which would flush those of Docker and Tailscale', () => {
  admit();
  undo();
  const calls = server.calls().filter((call) => call.includes('nft'));
  expect(calls).toContain('systemctl is-enabled nftables.service');
  expect(calls).toContain('nft delete table inet agent');
  expect(calls.join('\n')).not.toMatch(/reload|restart/);
});

it('one that stopped while it joined goes on, and leaves all the same', () => {
  admit();
  server.setTailnet({ state: 'NeedsLogin', name: JOIN_NAME });
  expect(admit()).toMatchObject({ status: 0 });
  server.setTailnet({ state: 'Stopped', name: JOIN_NAME, hasKey: true });
  undo();
  expect(server.calls()).toContain('tailscale logout');
});

it.each(['Running', 'Stopped', 'Starting', 'NeedsMachineAuth', 'NeedsLogin'])(
  'a login of its owner’s that is %s is refused, and survives the undo',
  (state) => {
    server.setTailnet({ state, name: 'mine', hasKey: true });
    const own = server.snapshot();
    expect(admit()).toMatchObject(refused('tailnet'));
    expect(undo()).toMatchObject({ status: 0 });
    expect(server.tailnet()).toEqual({ state, name: 'mine' });
    expect(server.calls().join('\n')).not.toMatch(/tailscale (up|logout)/);
    expect(server.snapshot()).toEqual(own);
  },
);

it('a login that appears with the package is refused too', () => {
  server.setTailnet({ state: 'NeedsLogin', name: '' });
  const late = admission.replace('\ncheck_login\nprintf', `\ntailscale own\ncheck_login\nprintf`);
  expect(late).not.toBe(admission);
  expect(server.run(late)).toMatchObject(refused('tailnet'));
  expect(server.calls().join('\n')).not.toMatch(/tailscale up/);
});

it('a login of its owner’s after the adoption has failed survives the undo', () => {
  admit();
  server.setTailnet({ state: 'Running', name: 'mine', hasKey: true });
  undo();
  expect(server.tailnet()).toEqual({ state: 'Running', name: 'mine' });
});

it('one whose Tailscale does not answer is refused', () => {
  server.setTailnet({ state: '', name: '' });
  expect(admit()).toMatchObject(refused('tailscale'));
});

it.each([
  'etc/agent',
  'usr/local/bin/agent',
  'etc/systemd/system/agent.service',
  'etc/ssh/sshd_config.d/00-agent.conf',
  'var/lib/agent',
])('a file of its owner’s at %s is refused, and survives the undo', (path) => {
  server.write(path, 'mine');
  const own = server.snapshot();
  expect(admit()).toMatchObject(refused(`path ${path}`));
  undo();
  expect(server.snapshot()).toEqual(own);
  expect(readdirSync(server.path('var/lib'))).not.toContain('agent-adoption');
});

it('a program on the health port is refused, whatever units there are', () => {
  server.answer('ss', 'LISTEN 0 128 *:8080');
  server.write('etc/systemd/system/agent.service', 'mine');
  expect(admit()).toMatchObject(refused('port'));
});

it.each([
  ['getent', 'account'],
  ['nft', 'firewall'],
])('what %s knows is refused', (program, why) => {
  server.answer(program, 'agent');
  expect(admit()).toMatchObject(refused(why));
});

it('an undo without an adoption leaves everything alone, and an account ops that this service has not made', () => {
  configure();
  const own = server.snapshot();
  expect(undo()).toMatchObject({ status: 0 });
  expect(server.snapshot()).toEqual(own);
  expect(server.calls()).toEqual([]);
  server.write('etc/sudoers.d/90-agent-ops', 'ops');
  undo();
  expect(server.calls()).toContain('userdel --remove --force ops');
  expect(server.snapshot()).toEqual(own);
});

it('keeps in one piece: a killed look is repeated', () => {
  server.write(`${BEFORE}.new/absent`, 'etc/nftables.conf\n');
  admit();
  undo();
  expect(server.read('etc/nftables.conf')).toBe('mine');
});
