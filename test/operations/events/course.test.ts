import { expect, test } from 'vitest';
import { toCourse } from '../../../src/operations/events/course.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 30, 9, 0, seconds));
const step = (seconds: number, attempt: number, name: string) => ({
  type: 'step' as const,
  attempt,
  at: at(seconds),
  data: { step: name },
});
const status = (seconds: number, attempt: number, data: Record<string, unknown>) => ({
  type: 'status' as const,
  attempt,
  at: at(seconds),
  data,
});

const EVENTS = [
  status(0, 0, { status: 'queued', attempt: 0 }),
  status(2, 1, { status: 'active', attempt: 1 }),
  step(2, 1, 'creating_server'),
  step(5, 1, 'waiting_to_retry'),
  status(5, 1, {
    status: 'queued',
    attempt: 1,
    error: 'other side closed',
    failedStep: 'creating_server',
    retryAt: at(20).toISOString(),
  }),
  step(20, 2, 'creating_server'),
  step(30, 2, 'configuring'),
  step(40, 2, 'finished'),
  status(40, 2, { status: 'succeeded', attempt: 2 }),
];

test('steps, waits and tries of an operation, one after the other without a gap', () => {
  const { segments, failures } = toCourse({ created_at: at(0), finished_at: at(40) }, EVENTS);
  expect(
    segments.map(({ step: name, attempt, start, end, isWait, hasFailed }) => [
      name,
      attempt,
      (end!.getTime() - start.getTime()) / 1000,
      isWait,
      hasFailed,
    ]),
  ).toEqual([
    ['queued', 0, 2, true, false],
    ['creating_server', 1, 3, false, true],
    ['waiting_to_retry', 1, 15, true, false],
    ['creating_server', 2, 10, false, false],
    ['configuring', 2, 10, false, false],
  ]);
  expect(failures).toEqual([
    { attempt: 1, at: at(5), step: 'creating_server', error: 'other side closed', retryAt: at(20) },
  ]);
});

test('the last step of an unfinished operation has no end', () => {
  const { segments } = toCourse({ created_at: at(0), finished_at: null }, EVENTS.slice(0, 7));
  expect(segments.map(({ end }) => end === null)).toEqual([false, false, false, false, true]);
});

test('one that was cancelled before it began has only waited', () => {
  const { segments } = toCourse({ created_at: at(0), finished_at: at(9) }, EVENTS.slice(0, 1));
  expect(segments).toEqual([
    { step: 'queued', attempt: 0, start: at(0), end: at(9), isWait: true, hasFailed: false },
  ]);
});

test('without its first events it begins at the first one that is there', () => {
  const { segments, omitted } = toCourse({ created_at: at(0), finished_at: at(40) }, EVENTS.slice(5), 5);
  expect(segments[0]?.start).toEqual(at(20));
  expect(omitted).toBe(5);
});
