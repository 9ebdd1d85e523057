// Generated from the definitions in src/runbooks/: node tools/generate-client.ts. Do not edit.
import type { RequestableKind } from './requestable-kind.ts';

/** Every kind of operation, by rank. */
export const OPERATION_KINDS: readonly string[] = [
  'provision',
  'adopt-server',
  'adopt',
  'import',
  'start',
  'stop',
  'restart',
  'reconfigure',
  'resize',
  'refresh',
  'snapshot',
  'rebuild',
  'revert',
  'suspend',
  'resume',
  'hibernate',
  'wake',
  'rollback',
  'destroy',
];

/** Those that a person may request, by rank. */
export const REQUESTABLE_KINDS: readonly RequestableKind[] = [
  { kind: 'start', brief: 'switch it on and wait until it is healthy', parameters: [] },
  { kind: 'stop', brief: 'switch its server off; data is kept and billing goes on', parameters: [] },
  { kind: 'restart', brief: 'switch it off and on again', parameters: [] },
  { kind: 'reconfigure', brief: "run this installation's version of the playbook again", parameters: [] },
  {
    kind: 'resize',
    brief: 'change its plan: a server of that size with the same disk',
    parameters: [{ name: 'plan', choices: ['starter', 'pro', 'max'] }],
  },
  { kind: 'refresh', brief: 'check its resources and its health', parameters: [] },
  { kind: 'snapshot', brief: 'keep a snapshot of its disk beside its server', parameters: [] },
  {
    kind: 'rebuild',
    brief: 'reinstall its server; everything on its disk is lost',
    parameters: [],
    loses: 'and lose everything on its disk',
  },
  {
    kind: 'revert',
    brief: 'put it back to one of its snapshots; everything since then is lost',
    parameters: [{ name: 'snapshot' }],
    loses: 'and lose everything since that snapshot',
  },
  {
    kind: 'hibernate',
    brief: 'keep a snapshot of a suspended agent and delete its server, which is billed in full',
    parameters: [],
  },
  { kind: 'wake', brief: "make a hibernated agent's server again from its snapshot", parameters: [] },
  {
    kind: 'destroy',
    brief: "delete the agent's server, keys and device",
    parameters: [],
    loses: 'with everything on its server (one that it is still adopting is given back instead)',
  },
];
