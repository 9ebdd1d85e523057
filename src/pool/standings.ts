/** `retired`: given to nobody any more, its server is being removed. */
export const SLOT_STANDINGS = ['preparing', 'ready', 'claimed', 'retired'] as const;
export type SlotStanding = (typeof SLOT_STANDINGS)[number];
