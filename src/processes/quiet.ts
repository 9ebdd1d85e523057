/** A while in which what can wait does. */
export interface Quiet {
  /** Something that must be quick is going on. */
  begin(): void;
  isQuiet(): boolean;
}

/**
 * Quiet for `ms` after each call of `begin`, together at most for `mostMs`, and then not for another `ms`:
 * what waits gets its turn although the calls never end.
 */
export function createQuiet(
  { ms, mostMs }: { ms: number; mostMs: number },
  now = () => performance.now(),
): Quiet {
  let [since, until] = [-Infinity, -Infinity];
  return {
    begin: () => {
      const at = now();
      if (at >= until + ms) since = at;
      else if (at >= until) return;
      until = Math.min(at + ms, since + mostMs);
    },
    isQuiet: () => now() < until,
  };
}
