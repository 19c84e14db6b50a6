const listenersOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when a signal aborts that thousands listen to at once: adding a listener to a signal itself looks at all that it has.
 * Not for a signal that has aborted. Returns how to stop.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) {
    const all = new Set<() => void>();
    listenersOf.set(signal, (listeners = all));
    signal.addEventListener("abort", () => all.forEach((each) => each()), { once: true });
  }
  // A function of its own, so that one listener may be there twice.
  const own = (): void => listener();
  listeners.add(own);
  return () => listeners.delete(own);
}
