/** Invalid configuration; the message lists every problem on a line of its own. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  /** Every problem by itself; empty if the message is all there is. */
  readonly problems: readonly string[];

  constructor(message: string, problems: readonly string[] = []) {
    super(message);
    this.problems = problems;
  }
}
