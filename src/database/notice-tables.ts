import type { Generated } from 'kysely';
import type { Defaulted, DefaultTimestamp, Json, Timestamp } from './column-types.ts';
import type { NoticeType } from './vocabulary.ts';

export interface NoticeTable {
  /** Also the id of the webhook's message, the same at every attempt. */
  notice_id: Generated<string>;
  /** Increases; for one agent in the order of its changes. */
  sequence: Generated<number>;
  type: NoticeType;
  agent_id: string | null;
  /** Names what the notice announces: a second notice with the key is none. */
  key: string;
  data: Json<Record<string, unknown>>;
  /** When it happened, by the clock of the business. */
  at: DefaultTimestamp;
  created_at: DefaultTimestamp;
  /** Whether its deliveries have been written. */
  spread: Defaulted<boolean>;
}

/** The delivery of one notice to one receiver. */
export interface NoticeDeliveryTable {
  notice_id: string;
  receiver: string;
  /** Where a mail goes; null for a webhook. */
  address: string | null;
  /** That of the notice. */
  sequence: number;
  /** The notice's agent, or the notice itself: a receiver gets the notices of one lane in order. */
  lane: string;
  status: Defaulted<'pending' | 'delivered' | 'failed'>;
  attempts: Defaulted<number>;
  next_at: DefaultTimestamp;
  /** Until when a worker may be sending it. */
  lease_until: Timestamp | null;
  /** The status of the receiver's last answer. */
  answer: number | null;
  error: string | null;
  delivered_at: Timestamp | null;
  created_at: DefaultTimestamp;
}
