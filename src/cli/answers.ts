import { z } from 'zod';
import { adoptionJson } from '../http/agents/adoption-json.ts';
import { agentJson } from '../http/agents/agent-json.ts';
import { receiptJson } from '../http/agents/receipt-json.ts';
import { drillJson, drillsJson, snapshotJson, snapshotsJson } from '../http/agents/snapshot-json.ts';
import { auditJson, verificationJson } from '../http/audit-json.ts';
import { backupJson, backupsJson } from '../http/backup-json.ts';
import { canaryJson } from '../http/canary-json.ts';
import { imageJson, imagesJson, prunedJson } from '../http/image-json.ts';
import { attentionJson } from '../http/limits/attention-json.ts';
import { breakerJson, heldChangeJson } from '../http/limits/breaker-json.ts';
import { noticeJson } from '../http/notice-json.ts';
import { operationSchema } from '../http/operations/operation-schema.ts';
import { orderJson } from '../http/order-json.ts';
import { pageOf } from '../http/paging.ts';
import { createdTokenJson, personJson, sessionJson, tokenJson } from '../http/people/people-json.ts';
import { poolJson, slotRemovalJson } from '../http/pool-json.ts';
import { projectJson } from '../http/project-json.ts';
import { proposalJson } from '../http/proposal-json.ts';
import { rebuiltJson } from '../http/rebuild-json.ts';
import { rekeyJson } from '../http/rekey-json.ts';
import { OPERATION_KINDS } from './operation-kinds.ts';

const operationJson = operationSchema(OPERATION_KINDS);

/**
 * What the commands read, by route. The compiler trusts the document; another version of the service, or
 * another service on its port, is found by these.
 */
const ANSWERS: Record<string, z.ZodType> = {
  'GET /api/agents': pageOf(agentJson),
  'GET /api/agents/{agentId}': agentJson,
  'PATCH /api/agents/{agentId}': agentJson,
  'GET /api/agents/{agentId}/operations': pageOf(operationJson),
  'GET /api/agents/{agentId}/receipt': receiptJson,
  'GET /api/operations/{operationId}': operationJson,
  'GET /api/agents/{agentId}/snapshots': snapshotsJson,
  'POST /api/agents/{agentId}/snapshot-drill': drillJson,
  'GET /api/snapshot-drills': drillsJson,
  'DELETE /api/snapshots/{snapshotId}': snapshotJson,
  'GET /api/orders': pageOf(orderJson),
  'POST /api/orders/{sessionId}/link': orderJson,
  'GET /api/notices': pageOf(noticeJson),
  'GET /api/audit': pageOf(auditJson),
  'GET /api/audit/verification': verificationJson,
  'GET /api/attention': pageOf(attentionJson),
  'GET /api/breakers': pageOf(breakerJson),
  'GET /api/breakers/{name}/changes': pageOf(heldChangeJson),
  'POST /api/breakers/{name}/approve': breakerJson,
  'GET /api/images': imagesJson,
  'POST /api/images': imageJson,
  'POST /api/images/prune': prunedJson,
  'GET /api/pool': poolJson,
  'POST /api/pool/{slotId}/remove': slotRemovalJson,
  'GET /api/projects': pageOf(projectJson),
  'POST /api/projects/{name}/drain': projectJson,
  'POST /api/projects/{name}/undrain': projectJson,
  'GET /api/canary': z.object({ items: z.array(canaryJson) }),
  'POST /api/canary': canaryJson,
  'GET /api/rekey': rekeyJson,
  'POST /api/agents/{agentId}/adopt': adoptionJson,
  'POST /api/rebuild-state': rebuiltJson,
  'POST /api/rebuild-state/accept': z.object({ accepted: z.literal(true) }),
  'GET /api/backups': backupsJson,
  'POST /api/backups': backupJson,
  'GET /api/proposals': pageOf(proposalJson),
  'POST /api/proposals': proposalJson,
  'GET /api/people': pageOf(personJson),
  'POST /api/people': personJson,
  'PATCH /api/people/{name}': personJson,
  'DELETE /api/people/{name}': personJson,
  'GET /api/tokens': pageOf(tokenJson),
  'POST /api/tokens': createdTokenJson,
  'DELETE /api/tokens/{tokenId}': tokenJson,
  'GET /api/sessions': pageOf(sessionJson),
  'DELETE /api/sessions/{sessionId}': sessionJson,
};

/** What else changes something answers with its operation, or with the agent if nothing has to be done. */
const CHANGED = z.union([operationJson, agentJson]);

/** The schema of a route's answer; undefined for those that the commands do not read as JSON. */
export function findAnswerSchema(method: string, path: string): z.ZodType | undefined {
  return ANSWERS[`${method} ${path}`] ?? (method === 'POST' ? CHANGED : undefined);
}
