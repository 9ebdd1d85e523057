/** One of the two ways that are compared. */
export interface Side {
  name: string;
  /** Resolves when the agent runs. @throws Error */
  provision(agentId: string): Promise<void>;
  /** Resolves when everything of it is gone. @throws Error */
  destroy(agentId: string): Promise<void>;
  /** After a round and outside all measurement: removes what this way of destroying leaves behind. */
  tidy(): Promise<void>;
}
