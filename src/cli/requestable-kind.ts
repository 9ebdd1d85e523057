/** What a command needs of a kind of operation that a person may request. */
export interface RequestableKind {
  kind: string;
  /** One line for the list of commands. */
  brief: string;
  /** Its options, each with a value; `choices`: the values that there are. */
  parameters: readonly { name: string; choices?: readonly string[] }[];
  /** Set if it cannot be undone: completes the question "Destroy agent a1 … ?". */
  loses?: string;
}
