import type { Vault } from '../agents/secrets.ts';
import { HEALTH_PORT } from '../connections/connections.ts';
import type { Runbooks } from '../operations/attempt.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';
import { createDestroy, createRollback } from './destroy.ts';
import { createProvision, type RecordInputs } from './provision.ts';
import { createRebuild } from './rebuild.ts';
import { createReconfigure } from './reconfigure.ts';
import { createRefresh } from './refresh.ts';
import { createResize } from './resize.ts';
import { createRestart } from './restart.ts';
import { createStart } from './start.ts';
import { ensureFoundation } from './steps/foundation.ts';
import type { FoundationStore } from './steps/foundation-store.ts';
import type { Clouds } from './steps/recovery.ts';
import { createStop } from './stop.ts';

const JOIN_TIMEOUT_SECONDS = 180;
const HEALTH_TIMEOUT_SECONDS = 120;

/** What the runbooks work with, in a worker beside the database or on a runner that reaches the service over HTTP alone. */
export interface RunbookParts {
  clouds: Clouds;
  executor: StackEngine;
  state: StateStore;
  health: HealthCheck;
  vault: Vault;
  foundations: FoundationStore;
  recordInputs: RecordInputs;
  /** Identifies the playbook. */
  configurationVersion: string;
  loginServer: string | undefined;
  /** How often the Hetzner provider asks for an action's progress, as a Go duration. */
  pollInterval: string | undefined;
}

/** Every operation that can be carried out. */
export function createRunbooks(parts: RunbookParts): Runbooks {
  const { clouds, executor, state, health, foundations } = parts;
  const settings = {
    healthPort: HEALTH_PORT,
    configurationVersion: parts.configurationVersion,
    joinTimeoutSeconds: JOIN_TIMEOUT_SECONDS,
    healthTimeoutSeconds: HEALTH_TIMEOUT_SECONDS,
    loginServer: parts.loginServer,
    pollInterval: parts.pollInterval,
  };
  const renewal = {
    ...clouds,
    executor,
    health,
    settings,
    vault: parts.vault,
    recordInputs: parts.recordInputs,
  };
  return {
    provision: createProvision({
      ...renewal,
      ensureFoundation: (run, project) =>
        ensureFoundation({ foundations, executor, hetzner: clouds.hetzner }, run, project),
    }),
    start: createStart({ ...clouds, executor, health, settings }),
    stop: createStop({ ...clouds, executor }),
    restart: createRestart({ ...clouds, health, settings }),
    reconfigure: createReconfigure(renewal),
    resize: createResize(renewal),
    rebuild: createRebuild(renewal),
    refresh: createRefresh({ ...clouds, executor, health }),
    rollback: createRollback({ ...clouds, executor, state, vault: parts.vault }),
    destroy: createDestroy({ ...clouds, executor, state, vault: parts.vault }),
  };
}
