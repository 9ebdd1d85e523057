import { z } from 'zod';
import type { EnvironmentReader } from './environment-reader.ts';

/** Where the set-up has put what real machines need, or what of it is missing, each in half a sentence. */
const schema = z.union([
  z.object({ missing: z.array(z.string()).min(1) }),
  z.object({ base: z.string(), headscale: z.string(), tailscale: z.string(), tailscaled: z.string() }),
]);
export type MachineTools = z.infer<typeof schema>;
export type PreparedMachines = Exclude<MachineTools, { missing: string[] }>;

const WISHES = ['auto', 'simulated', 'real'] as const;
export type MachinesWish = (typeof WISHES)[number];

/** What the set-up says; without a set-up (this process was started by hand) nothing is prepared. */
export function readMachineTools(reader: EnvironmentReader): MachineTools {
  const text = reader.text('AGENT_STACKS_MACHINE_TOOLS');
  if (text === undefined) return { missing: ['they have not been prepared on this machine'] };
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    reader.problems.push('AGENT_STACKS_MACHINE_TOOLS is not what npm start hands over: leave it out');
    return { missing: [] };
  }
}

/** Reads SANDBOX_MACHINES. Real ones that cannot be are a problem, with what is missing and how to get it. */
export function readMachinesWish(reader: EnvironmentReader, tools: MachineTools): MachinesWish {
  const wish = reader.choice('SANDBOX_MACHINES', WISHES) ?? 'auto';
  if (wish === 'real' && 'missing' in tools)
    reader.problems.push(`SANDBOX_MACHINES=real: there are none here: ${explainMissing(tools.missing)}`);
  return wish;
}

export function explainMissing(missing: readonly string[]): string {
  return `${missing.join('; ')}. Prepare them once with: npm run machines`;
}
