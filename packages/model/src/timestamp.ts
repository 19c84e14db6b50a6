/** The last few; a prime number of places, so that a moment and what is due a round time later do not take each other's. */
const places = 7;
const times: number[] = [];
const texts: string[] = [];

/** A moment as objects have it: UTC, with milliseconds. What is made at one moment shares the text. */
export function timestamp(ms: number): string {
  const place = Math.floor(ms) % places;
  if (times[place] === ms) return texts[place] ?? "";
  const text = new Date(ms).toISOString();
  times[place] = ms;
  texts[place] = text;
  return text;
}
