import { z } from 'zod';
import type { EnvironmentReader } from './environment-reader.ts';

/** The programs that the set-up installed for real machines, or a list of what is missing. */
const schema = z.union([
  z.object({ missing: z.array(z.string()).min(1) }),
  z.object({ base: z.string(), headscale: z.string(), tailscale: z.string(), tailscaled: z.string() }),
]);
export type MachineTools = z.infer<typeof schema>;
export type PreparedMachines = Exclude<MachineTools, { missing: string[] }>;

const MODES = ['auto', 'simulated', 'real'] as const;
export type MachinesMode = (typeof MODES)[number];

/** Reads what the set-up reports. Without a set-up (a process started by hand) nothing is prepared. */
export function readMachineTools(reader: EnvironmentReader): MachineTools {
  const text = reader.text('AGENT_STACKS_MACHINE_TOOLS');
  if (text === undefined) return { missing: ['they are not set up on this machine'] };
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    reader.problems.push('AGENT_STACKS_MACHINE_TOOLS is set by npm start alone: do not set it yourself');
    return { missing: [] };
  }
}

/**
 * Reads SANDBOX_MACHINES. It is a problem if real machines are required but not available; the problem lists
 * what is missing and how to get it.
 */
export function readMachinesMode(reader: EnvironmentReader, tools: MachineTools): MachinesMode {
  const mode = reader.choice('SANDBOX_MACHINES', MODES) ?? 'auto';
  if (mode === 'real' && 'missing' in tools)
    reader.problems.push(
      `SANDBOX_MACHINES=real: real machines are not available: ${explainMissing(tools.missing)}`,
    );
  return mode;
}

export function explainMissing(missing: readonly string[]): string {
  return `${missing.join('; ')}. Set them up once with: npm run machines`;
}
