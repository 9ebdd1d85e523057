/** Work on items together, one batch after the other. */
export interface Batches<Item> {
  /** Settles with the batch that has the item: when it is done, or with its error. */
  add(item: Item): Promise<void>;
}

/**
 * Collects what comes while a batch is under way: the next one has all of it. So an item alone waits for
 * nothing, and many need little more work than one.
 */
export function createBatches<Item>(work: (items: Item[]) => Promise<void>): Batches<Item> {
  let collected: { items: Item[]; done: Promise<void> } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return {
    add: (item) => {
      if (collected !== undefined) {
        collected.items.push(item);
        return collected.done;
      }
      const items = [item];
      const done = last.then(() => {
        collected = undefined;
        return work(items);
      });
      collected = { items, done };
      last = done.catch(() => {});
      return done;
    },
  };
}
