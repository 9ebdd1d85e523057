import type { NoticeType } from '../database/vocabulary.ts';

/** A notice as receivers get it. */
export interface Notice {
  noticeId: string;
  type: NoticeType;
  agentId: string | null;
  at: Date;
  data: Record<string, unknown>;
}

/**
 * How an attempt at a delivery ended. `answer`: the status of HTTP or SMTP, if there was one. `isFinal`: no
 * further attempt can succeed. `waitSeconds`: how long the receiver asks to wait.
 */
export type SendResult =
  | { delivered: true; answer: number | null }
  | {
      delivered: false;
      answer: number | null;
      error: string;
      isFinal?: boolean | undefined;
      waitSeconds?: number | undefined;
    };

/** Something that is told what happens. */
export interface Receiver {
  /** Its name in rows, logs and pages; contains no secret. */
  name: string;
  /**
   * Where the notice goes: a mail address, or null where the receiver has only one place. Undefined: it does
   * not want this notice. `buyerEmail`: the buyer's address, if known.
   */
  addressFor(notice: Notice, buyerEmail: string | undefined): string | null | undefined;
  /** @throws the signal's reason; any other failure is a result. What it throws otherwise counts as one. */
  send(notice: Notice, address: string | null, signal: AbortSignal): Promise<SendResult>;
}
