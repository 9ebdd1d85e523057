import type { EnvironmentReader } from './environment-reader.ts';

/** How the payments of running agents are followed. */
export interface FollowingConfig {
  /** `observe`: decide and log, change nothing. `off`: only checkouts count. */
  mode: 'act' | 'observe' | 'off';
  /** Whether what happened before this installation has consequences. */
  actsOnPast: boolean;
  /** Whether the subscription of an agent that was destroyed is cancelled, not only reported. */
  cancelsOnDestroy: boolean;
}

/** Reads how payments are followed. Problems are collected in the reader. */
export function readFollowing(reader: EnvironmentReader): FollowingConfig {
  return {
    mode: reader.choice('BILLING', ['act', 'observe', 'off']) ?? 'act',
    actsOnPast: reader.choice('BILLING_ACT_ON_PAST', ['yes', 'no']) === 'yes',
    cancelsOnDestroy: reader.choice('BILLING_CANCEL_ON_DESTROY', ['yes', 'no']) === 'yes',
  };
}
