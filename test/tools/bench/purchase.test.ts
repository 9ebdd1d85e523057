import { describe, expect, test } from 'vitest';
import {
  BESIDE_THE_TASKS,
  newestOperation,
  splitConfiguring,
  splitSteps,
} from '../../../tools/bench/purchase.ts';
import { byName, machinesText } from '../../../tools/bench/report-machines.ts';

describe('a purchase', () => {
  const operation = newestOperation.parse({
    items: [
      {
        operationId: 'newest',
        attempt: 1,
        timeline: [
          { step: 'queued', startedAt: '2026-11-22T06:00:00Z', seconds: 0.05 },
          { step: 'creating_server', seconds: 1.5 },
          { step: 'configuring', seconds: 8 },
          { step: 'finished', seconds: null },
        ],
      },
      { operationId: 'older', attempt: 3, timeline: [] },
    ],
  });

  test('its seconds are shared out among its steps, with what was before the first', () => {
    expect(splitSteps(operation, 9.75)).toEqual([
      { name: 'webhook and queue', seconds: 0.25 },
      { name: 'creating_server', seconds: 1.5 },
      { name: 'configuring', seconds: 8 },
    ]);
  });

  test('those of its configuration are the finished tasks’, with what was between them', () => {
    const log = [
      'TASK [base : Create the account] ***',
      'changed: [agent-a]',
      'progress: base : Create the account: changed (0.5 s) operation=0b1c trace=00ff',
      'progress: agent : Wait until the agent is healthy: not yet, try 10 (9.0 s)',
      'progress: agent : Wait until the agent is healthy: ok (12.5 s)',
      'progress: agent : Read the state of its service: failed, ignored (1.0 s)',
    ].join('\n');
    expect(splitConfiguring(log, 15)).toEqual([
      { name: 'base : Create the account', seconds: 0.5 },
      { name: 'agent : Wait until the agent is healthy', seconds: 12.5 },
      { name: BESIDE_THE_TASKS, seconds: 2 },
    ]);
    expect(splitConfiguring('', 3)).toEqual([{ name: BESIDE_THE_TASKS, seconds: 3 }]);
  });
});

describe('the table of purchases', () => {
  test('a part that a purchase did without took it no time, one that came twice took both', () => {
    const twice = [
      { name: 'a', seconds: 1 },
      { name: 'b', seconds: 2 },
      { name: 'a', seconds: 3 },
    ];
    expect(byName([twice, [{ name: 'b', seconds: 5 }]])).toEqual([
      ['a', [4, 0]],
      ['b', [2, 5]],
    ]);
  });

  test('it tells the whole, the steps in their order, and the longest parts first', () => {
    const purchase = (seconds: number) => ({
      seconds,
      steps: [
        { name: 'creating_server', seconds: 1 },
        { name: 'configuring', seconds: seconds - 1 },
      ],
      configuring: [
        { name: 'short', seconds: 0.5 },
        { name: 'long', seconds: seconds - 1.5 },
      ],
      destroySeconds: 2,
    });
    const text = machinesText({
      purchases: [11, 9, 10].map(purchase),
      withImage: [4, 3, 5].map(purchase),
      atOnceSeconds: [20, 30],
    });
    expect(text).toMatch(/^from payment to running +10\.0 \(9\.0-11\.0\)$/m);
    expect(text).toMatch(/creating_server +1\.0 .*\nconfiguring +9\.0 .*\ndestroy +2\.0/);
    expect(text).toMatch(/long +8\.5 .*\nshort +0\.5/);
    expect(text).toContain('2 bought at the same moment: all running after 30.0 s; each 25.0 (20.0-30.0) s');
  });

  test('where there are no real machines it says why', () => {
    expect(machinesText({ leftOut: 'they need root' })).toBe('Real machines: not measured: they need root');
  });
});
