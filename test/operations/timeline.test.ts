import { expect, test } from 'vitest';
import { timeline } from '../../src/operations/events/events.ts';

const at = (milliseconds: number) => new Date(Date.UTC(2026, 0, 1) + milliseconds);

test('the parts add up to the whole, to the millisecond', () => {
  const entries = timeline({ created_at: at(0), finished_at: at(9_876) }, [
    { step: 'creating_server', at: at(123) },
    { step: 'joining_network', at: at(4_568) },
    { step: 'finished', at: at(9_876) },
  ]);
  expect(entries.map(({ step, seconds }) => [step, seconds])).toEqual([
    ['queued', 0.123],
    ['creating_server', 4.445],
    ['joining_network', 5.308],
    ['finished', 0],
  ]);
  expect(entries.reduce((sum, { seconds }) => sum + seconds! * 1000, 0)).toBeCloseTo(9_876, 6);
});

test('an active step has no length yet', () => {
  const entries = timeline({ created_at: at(0), finished_at: null }, [{ step: 'verifying', at: at(10) }]);
  expect(entries).toEqual([
    { step: 'queued', startedAt: at(0), seconds: 0.01 },
    { step: 'verifying', startedAt: at(10), seconds: null },
  ]);
});

test('a step entered twice in a row is one step; entered again later, it is another', () => {
  const steps = ['configuring', 'configuring', 'verifying', 'configuring'].map((step, index) => ({
    step,
    at: at(index * 1000),
  }));
  const entries = timeline({ created_at: at(0), finished_at: at(5000) }, steps);
  expect(entries.map(({ step, seconds }) => [step, seconds])).toEqual([
    ['queued', 0],
    ['configuring', 2],
    ['verifying', 1],
    ['configuring', 2],
  ]);
});

test('an operation that was never claimed consists of waiting', () => {
  expect(timeline({ created_at: at(0), finished_at: null }, [])).toEqual([
    { step: 'queued', startedAt: at(0), seconds: null },
  ]);
});
