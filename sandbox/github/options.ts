import { z } from 'zod';

const texts = z.record(z.string(), z.string());

/** The machine that runs workflows, and the repository's settings, as the launcher passes them. */
export const githubOptionsSchema = z.object({
  /** The program that executes workflows; without it every run fails at its start. */
  act: z.string().min(1).optional(),
  /** The checkout whose workflow file runs, and which the workflow checks out. */
  checkout: z.string().min(1),
  /** Folders of the runs' work and of their logs. */
  dir: z.string().min(1),
  logDir: z.string().min(1),
  /** The machine's environment: paths of its programs and caches, and the sandbox's address. */
  environment: texts,
  /** The repository's secrets and variables. */
  secrets: texts,
  variables: texts,
});

export type GithubOptions = z.output<typeof githubOptionsSchema>;
