/** One of the two sides being compared. */
export interface Side {
  name: string;
  /** Resolves when the agent runs. @throws Error */
  provision(agentId: string): Promise<void>;
  /** Resolves when all its resources are gone. @throws Error */
  destroy(agentId: string): Promise<void>;
  /** After a round and outside all measurements: removes what this side's destroy leaves behind. */
  tidy(): Promise<void>;
}
