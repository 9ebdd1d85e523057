import { z } from 'zod';
import { addressSchema, serverIdSchema } from '../../../stacks/outputs.ts';
import { cutText } from '../../database/storable.ts';
import { InvalidInputError } from '../../errors.ts';
import { LONGEST_ERROR, LONGEST_STEP } from '../../operations/lengths.ts';

/** A runner's report on an attempt. Empty fields are absent. */
export type Callback = { jobId: string; workflowRunId?: string | undefined } & Report;

export type Report =
  | { kind: 'heartbeat' }
  | { kind: 'provisioning'; step?: string | undefined }
  | {
      kind: 'running';
      serverId?: string | undefined;
      serverIp?: string | undefined;
      tailscaleIp?: string | undefined;
    }
  | { kind: 'failed'; error?: string | undefined; failedStep?: string | undefined };

const ID_LENGTH = 100;

const absent = <T>(schema: z.ZodType<T>) =>
  z.preprocess((value) => (value === '' || value === null ? undefined : value), schema.optional());
const text = (length: number) => absent(z.string().transform((value) => cutText(value, length)));
/** GitHub's and Hetzner's ids are numbers, but shells send them as text. */
const id = (schema: z.ZodType<string, string>) =>
  absent(
    z.union([z.string(), z.int().nonnegative()], { error: 'is not an id' }).transform(String).pipe(schema),
  );
const runId = id(
  z
    .string()
    .regex(/^[0-9A-Za-z][\w-]*$/, 'is not an id')
    .max(ID_LENGTH),
);
const address = absent(addressSchema);

const sender = {
  job_id: z.string({ error: 'is missing or not a string' }).min(1, 'is missing'),
  workflow_run_id: runId,
};
const heartbeat = z.object({ ...sender, type: z.literal('heartbeat') });
const provisioning = z.object({ ...sender, status: z.literal('provisioning'), step: text(LONGEST_STEP) });
const running = z.object({
  ...sender,
  status: z.literal('running'),
  server_id: id(serverIdSchema),
  server_ip: address,
  tailscale_ip: address,
});
const failed = z.object({
  ...sender,
  status: z.literal('failed'),
  error: text(LONGEST_ERROR),
  failed_step: text(LONGEST_STEP),
});

/** The sender's fields, which all messages of a runner have. */
export const senderSchema = z.object(sender);

/** @throws InvalidInputError that names the invalid fields */
export function parseCallback(body: unknown): Callback {
  const { type, status } = (body ?? {}) as { type?: unknown; status?: unknown };
  if (type === 'heartbeat') return { ...toSender(check(heartbeat, body)), kind: 'heartbeat' };
  switch (status) {
    case 'provisioning': {
      const found = check(provisioning, body);
      return { ...toSender(found), kind: 'provisioning', step: found.step };
    }
    case 'running': {
      const found = check(running, body);
      const { server_id: serverId, server_ip: serverIp, tailscale_ip: tailscaleIp } = found;
      return { ...toSender(found), kind: 'running', serverId, serverIp, tailscaleIp };
    }
    case 'failed': {
      const found = check(failed, body);
      return { ...toSender(found), kind: 'failed', error: found.error, failedStep: found.failed_step };
    }
    default:
      check(senderSchema, body);
      throw new InvalidInputError('status must be provisioning, running or failed, or type heartbeat');
  }
}

function toSender(found: z.infer<typeof senderSchema>): {
  jobId: string;
  workflowRunId: string | undefined;
} {
  return { jobId: found.job_id, workflowRunId: found.workflow_run_id };
}

/** @throws InvalidInputError that names the invalid fields */
export function check<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'} ${issue.message}`);
  throw new InvalidInputError(problems.join('; ').slice(0, 500));
}
