import type { z } from 'zod';
import type { Probe } from '../../reconcile/checks/probe.ts';

/** What is known so far, by variable. */
export type Answers = Record<string, string>;

/** One thing that live mode needs and only a person knows. */
export interface Question {
  variable: string;
  title: string;
  /** Where it is found, in which console. */
  where: string;
  isSecret: boolean;
  /** Offered where nothing is known. */
  initial?: string;
  schema: z.ZodType;
  /** Calls that only read, which an answer of the right form has to pass. */
  probes(answers: Answers): Probe[];
  /** The questions that follow from the answer. */
  further?(answers: Answers): Question[];
}
