import { invalidRequest } from './errors.ts';
import { nowSeconds } from './wire.ts';

const DAY_SECONDS = 24 * 3600;

/** Returns the end of the trial that the parameters ask for, in Unix seconds; undefined without one. */
export function toTrialEnd({
  trial_end,
  trial_period_days,
}: {
  trial_end?: number | 'now' | undefined;
  trial_period_days?: number | undefined;
}): number | undefined {
  if (trial_end !== undefined && trial_period_days !== undefined)
    throw invalidRequest('You may only specify one of these parameters: trial_end, trial_period_days.', {
      param: 'trial_end',
    });
  if (trial_period_days !== undefined) return nowSeconds() + trial_period_days * DAY_SECONDS;
  if (trial_end === 'now') return undefined;
  if (trial_end !== undefined && trial_end <= nowSeconds())
    throw invalidRequest('Invalid timestamp: must be an integer Unix timestamp in the future.', {
      param: 'trial_end',
    });
  return trial_end;
}
