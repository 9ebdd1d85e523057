/**
 * Lets requests share what they read. Those that come while it is read wait for the next reading, which
 * begins when this one ends: nobody gets what was read before they asked, and however many pages ask at the
 * same moment, it is read twice at most. `read` is called with one of the requests' keys, of equal ones.
 */
export function sharedReads<Key, Result>(read: (key: Key) => Promise<Result>): (key: Key) => Promise<Result> {
  const underWay = new Map<string, { now: Promise<Result>; next?: Promise<Result> }>();

  const begin = (name: string, key: Key): Promise<Result> => {
    const now = read(key);
    const own = { now };
    underWay.set(name, own);
    const clear = () => {
      if (underWay.get(name) === own) underWay.delete(name);
    };
    now.then(clear, clear);
    return now;
  };
  return (key) => {
    const name = JSON.stringify(key) ?? '';
    const current = underWay.get(name);
    if (current === undefined) return begin(name, key);
    const beginNext = () => begin(name, key);
    current.next ??= current.now.then(beginNext, beginNext);
    return current.next;
  };
}
