/**
 * Takes turns between groups, each in its own order: whoever has many does not keep those waiting that have few.
 * @param before how often it has been a group's turn already
 */
export function inTurns<T>(
  all: readonly T[],
  groupOf: (one: T) => string,
  before: ReadonlyMap<string, number> = new Map(),
): readonly T[] {
  const counts = new Map<string, number>();
  return all
    .map((one) => {
      const group = groupOf(one);
      const turn = counts.get(group) ?? before.get(group) ?? 0;
      counts.set(group, turn + 1);
      return { one, turn };
    })
    .sort((first, second) => first.turn - second.turn)
    .map(({ one }) => one);
}
