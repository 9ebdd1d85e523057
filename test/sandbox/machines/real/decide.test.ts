import { expect, test } from 'vitest';
import type { Phase } from '../../../../sandbox/hetzner/servers/phases.ts';
import { type Deed, decide, type Live } from '../../../../sandbox/machines/real/decide.ts';
import type { DesiredServer } from '../../../../sandbox/machines/real/servers.ts';

const now = 1000;
const before = (status: Phase['status']): Phase => ({ status, fromMs: 0 });
const later = (status: Phase['status']): Phase => ({ status, fromMs: 2000 });

const sold = (phases: Phase[], change: Partial<DesiredServer> = {}): DesiredServer => ({
  id: 7,
  name: 'seven',
  phases,
  deleted: false,
  generation: 2,
  boot: 3,
  stopsSoftly: true,
  ipv4: '198.18.1.7',
  ipv6: undefined,
  rules: undefined,
  ...change,
});

const same: Live = { generation: 2, boot: 3 };
const running = [before('running')];

test.each<[string, DesiredServer | undefined, Live | undefined, Deed]>([
  [
    'a server that is being created waits',
    sold([before('initializing'), later('running')]),
    undefined,
    'nothing',
  ],
  ['one that starts is booted', sold([before('starting'), later('running')]), undefined, 'boot'],
  ['one that runs is booted again after a kill', sold(running), undefined, 'boot'],
  ['one that runs is left alone', sold(running), same, 'nothing'],
  ['after a reboot the start before is asked to end', sold(running), { ...same, boot: 2 }, 'shut-down'],
  [
    'after a reset its power is cut',
    sold(running, { stopsSoftly: false }),
    { ...same, boot: 2 },
    'cut-power',
  ],
  ['after a rebuild the power of the old one is cut', sold(running), { ...same, generation: 1 }, 'cut-power'],
  [
    'while the disk is installed nothing boots',
    sold([before('rebuilding'), later('running')]),
    undefined,
    'nothing',
  ],
  ['a shutdown asks', sold([before('stopping')]), same, 'shut-down'],
  ['once it has switched itself off, that is noted', sold([before('stopping')]), undefined, 'note-off'],
  ['a poweroff cuts the power', sold([before('off')], { stopsSoftly: false }), same, 'cut-power'],
  ['one that is off stays off', sold([before('off')]), undefined, 'nothing'],
  ['an action that will fail changes nothing', sold([before('stopping'), later('running')]), same, 'nothing'],
  ['the power of a deleted one is cut', sold(running, { deleted: true }), same, 'cut-power'],
  ['then its disk goes', sold(running, { deleted: true }), undefined, 'remove'],
  ['a disk of no server goes', undefined, undefined, 'remove'],
])('%s', (_name, server, live, deed) => {
  expect(decide(server, live, now)).toBe(deed);
});
