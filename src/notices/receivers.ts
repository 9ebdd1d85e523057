import type { NoticeConfig } from '../config/notices.ts';
import { createMailReceivers } from './mail.ts';
import type { Receiver } from './receiver.ts';
import { readTemplates } from './templates.ts';
import { createWebhooks } from './webhook.ts';

/** Creates everything that is told, as configured. @throws Error that names a file that is no template */
export function createReceivers({ webhooks, mail, templates }: NoticeConfig): Receiver[] {
  return [
    ...(webhooks === undefined ? [] : createWebhooks(webhooks)),
    ...(mail === undefined ? [] : createMailReceivers(mail, readTemplates(templates))),
  ];
}
