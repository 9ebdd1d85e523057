import { z } from 'zod';

const texts = z.record(z.string(), z.string());

/** What the launcher says about the machine that runs workflows, and what the repository's settings hold. */
export const githubOptionsSchema = z.object({
  /** The program that carries workflows out; without it every run ends at its start. */
  act: z.string().min(1).optional(),
  /** The folder of the checkout: whose workflow file runs, and what the workflow checks out. */
  checkout: z.string().min(1),
  /** Where runs have their work folders, and their logs. */
  dir: z.string().min(1),
  logDir: z.string().min(1),
  /** Environment of the machine: where its programs, caches and the sandbox itself are. */
  environment: texts,
  /** The repository's secrets and variables. */
  secrets: texts,
  variables: texts,
});

export type GithubOptions = z.output<typeof githubOptionsSchema>;
