import { findProcesses, killFound } from '../src/processes/find.ts';

/**
 * Finds processes that have `variable` in their environment with a value that `matches`. Every descendant
 * inherits such a tag, even those that have left their group and session. Linux only; elsewhere it finds
 * nothing.
 */
export function findTagged(variable: string, matches: (value: string) => boolean): number[] {
  return findProcesses((environment) => {
    const value = environment.get(variable);
    return value !== undefined && matches(value);
  });
}

/** Kills tagged processes as `killFound` does. @returns the ids of the killed ones. */
export function killTagged(variable: string, matches: (value: string) => boolean): Promise<number[]> {
  return killFound(() => findTagged(variable, matches));
}
