import { expect, test } from 'vitest';
import type { Phase } from '../../../../sandbox/hetzner/servers/phases.ts';
import { nextStep, type RunningBoot, type Step } from '../../../../sandbox/machines/real/next-step.ts';
import type { DesiredServer } from '../../../../sandbox/machines/real/servers.ts';

const now = 1000;
const before = (status: Phase['status']): Phase => ({ status, fromMs: 0 });
const later = (status: Phase['status']): Phase => ({ status, fromMs: 2000 });

const desired = (phases: Phase[], change: Partial<DesiredServer> = {}): DesiredServer => ({
  id: 7,
  name: 'seven',
  phases,
  deleted: false,
  generation: 2,
  boot: 3,
  stopsSoftly: true,
  ipv4: '198.18.1.7',
  ipv6: undefined,
  diskImage: undefined,
  wantedImage: undefined,
  rules: undefined,
  ...change,
});

const same: RunningBoot = { generation: 2, boot: 3 };
const running = [before('running')];

test.each<[string, DesiredServer | undefined, RunningBoot | undefined, Step]>([
  [
    'a server that is being created waits',
    desired([before('initializing'), later('running')]),
    undefined,
    'nothing',
  ],
  ['a starting server is booted', desired([before('starting'), later('running')]), undefined, 'boot'],
  ['a running server is booted again after a kill', desired(running), undefined, 'boot'],
  ['a running server is left alone', desired(running), same, 'nothing'],
  ['after a reboot the previous boot is shut down', desired(running), { ...same, boot: 2 }, 'shut-down'],
  [
    'after a reset its power is cut',
    desired(running, { stopsSoftly: false }),
    { ...same, boot: 2 },
    'cut-power',
  ],
  [
    'after a rebuild the old machine’s power is cut',
    desired(running),
    { ...same, generation: 1 },
    'cut-power',
  ],
  ['nothing boots during a rebuild', desired([before('rebuilding'), later('running')]), undefined, 'nothing'],
  ['a shutdown asks the machine to power off', desired([before('stopping')]), same, 'shut-down'],
  ['a machine that has powered off is recorded', desired([before('stopping')]), undefined, 'record-off'],
  ['a poweroff cuts the power', desired([before('off')], { stopsSoftly: false }), same, 'cut-power'],
  ['a server that is off stays off', desired([before('off')]), undefined, 'nothing'],
  [
    'an action that will fail changes nothing',
    desired([before('stopping'), later('running')]),
    same,
    'nothing',
  ],
  ['the power of a deleted server is cut', desired(running, { deleted: true }), same, 'cut-power'],
  [
    'the disks of a deleted server are removed',
    desired(running, { deleted: true }),
    undefined,
    'remove-disks',
  ],
  ['disks without a server are removed', undefined, undefined, 'remove-disks'],
])('%s', (_name, server, runs, step) => {
  expect(nextStep(server, runs, now)).toBe(step);
});
