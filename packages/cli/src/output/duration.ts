/** A duration for people: `340 ms`, `7.2 s`, `3 min 05 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** An age for people, from an RFC 3339 time: `12s`, `5m`, `3h`, `9d`; `-` where unknown. */
export function formatAge(time: string | undefined, nowMs: number): string {
  if (time === undefined) return "-";
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** A moment in local time, from an RFC 3339 one: `10:29:39`, with its date where that is not today. */
export function formatMoment(time: string, nowMs: number): string {
  const words = (date: Date) =>
    [
      date.getFullYear(),
      date.getMonth() + 1,
      date.getDate(),
      date.getHours(),
      date.getMinutes(),
      date.getSeconds(),
    ].map((part) => String(part).padStart(2, "0"));
  const [year, month, day, ...clock] = words(new Date(time));
  const today = words(new Date(nowMs)).slice(0, 3).join("-");
  const date = `${year}-${month}-${day}`;
  return date === today ? clock.join(":") : `${date} ${clock.join(":")}`;
}

/** Bytes for people, in powers of 1024: `3.8 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? "B"}`;
}
