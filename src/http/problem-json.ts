import { z } from 'zod';
import { PROBLEM_NAMES, problemType } from './problems.ts';

/** RFC 9457 problem details. */
export const problemSchema = z
  .object({
    type: z.enum(PROBLEM_NAMES.map(problemType)).meta({
      description: 'Which kind of problem, for programs; relative to this service, whose page explains it',
    }),
    title: z.string().meta({ description: 'The status in words' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What is wrong with this request' }),
  })
  .meta({ id: 'Problem' });
